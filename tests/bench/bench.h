#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

/*
 * What every figure needs: a clock, a series of samples, and a row that is
 * printed as a line of the table and as a line of JSON. A missed target is
 * shown, never an exit code: machines differ, and a figure is no test.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SERIES_MAX	1024	/* samples kept; more are dropped */

struct series {
	int	 n;
	double	 v[SERIES_MAX];
};

enum target {
	TARGET_NONE,
	TARGET_RATIO_MAX,	/* muster / bare at most */
	TARGET_RATIO_MIN,	/* muster / bare at least */
	TARGET_VALUE_MAX,	/* muster's median at most, whatever bare has */
	TARGET_WORST_MAX,	/* muster's greatest sample at most */
};

struct figure {
	const char	*id;	/* in the JSON, with n: stable over releases */
	int		 n;	/* workers, or connections; 0: neither */
	const char	*what;	/* in the table */
	const char	*unit;
	enum target	 target;
	double		 limit;	/* of the target */
	struct series	 muster, bare;
};

static inline double
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static inline void
sleep_ms(double ms)
{
	struct timespec ts = { .tv_sec = (time_t)(ms / 1e3) };

	ts.tv_nsec = (long)((ms - (double)ts.tv_sec * 1e3) * 1e6);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

/* BENCH_QUICK=1: fewer samples and no extremes, for a look in between. */
static inline bool
quick(void)
{
	const char *v = getenv("BENCH_QUICK");

	return v != NULL && *v != '\0' && strcmp(v, "0") != 0;
}

static inline void
series_add(struct series *s, double v)
{
	if (s->n < SERIES_MAX)
		s->v[s->n++] = v;
}

static inline int
double_cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline void
series_sort(struct series *s)
{
	qsort(s->v, (size_t)s->n, sizeof(s->v[0]), double_cmp);
}

/* Of a sorted series; 0 of an empty one. */
static inline double
series_quantile(const struct series *s, double q)
{
	if (s->n == 0)
		return 0;
	return s->v[(int)((double)(s->n - 1) * q + 0.5)];
}

static inline double
series_median(const struct series *s)
{
	if (s->n == 0)
		return 0;
	return (s->v[(s->n - 1) / 2] + s->v[s->n / 2]) / 2;
}

static inline bool
figure_met(const struct figure *f)
{
	double m = series_median(&f->muster), b = series_median(&f->bare);

	switch (f->target) {
	case TARGET_RATIO_MAX:
		return m <= f->limit * b;
	case TARGET_RATIO_MIN:
		return m >= f->limit * b;
	case TARGET_VALUE_MAX:
		return m <= f->limit;
	case TARGET_WORST_MAX:
		return series_quantile(&f->muster, 1) <= f->limit;
	default:
		return true;
	}
}

static inline void
print_number(char *buf, size_t size, double v)
{
	if (v >= 1000)
		snprintf(buf, size, "%.0f", v);
	else if (v >= 100)
		snprintf(buf, size, "%.1f", v);
	else if (v >= 10)
		snprintf(buf, size, "%.2f", v);
	else
		snprintf(buf, size, "%.3f", v);
}

static inline void
print_series(const struct series *s)
{
	char med[24], range[52], lo[24], hi[24];

	if (s->n == 0) {
		printf(" %8s %-17s", "-", "");
		return;
	}
	print_number(med, sizeof(med), series_median(s));
	print_number(lo, sizeof(lo), s->v[0]);
	print_number(hi, sizeof(hi), s->v[s->n - 1]);
	snprintf(range, sizeof(range), "(%s-%s)", lo, hi);
	printf(" %8s %-17s", med, range);
}

static inline void
print_target(const struct figure *f)
{
	char ratio[24] = "", target[32] = "";
	bool least = f->target == TARGET_RATIO_MIN;
	bool times = least || f->target == TARGET_RATIO_MAX;
	double b = series_median(&f->bare);

	if (b > 0 && f->muster.n > 0)
		snprintf(ratio, sizeof(ratio), "%.2fx",
		    series_median(&f->muster) / b);
	if (f->target != TARGET_NONE)
		snprintf(target, sizeof(target), "%s %g%s",
		    least ? ">=" : "<=", f->limit, times ? "x" : "");
	printf(" %8s  %-8s %s\n", ratio, target,
	    f->target == TARGET_NONE ? "" : figure_met(f) ? "met" : "MISSED");
}

static inline void
json_series(FILE *out, const char *side, const struct series *s)
{
	if (s->n == 0)
		return;
	fprintf(out, ", \"%s\": {\"median\": %.6g, \"min\": %.6g, "
	    "\"max\": %.6g, \"samples\": %d}", side, series_median(s),
	    s->v[0], s->v[s->n - 1], s->n);
}

/* One object a line; run makes an array of them. */
static inline void
figure_json(const struct figure *f)
{
	static const char *const kind[] = { "none", "ratio at most",
		"ratio at least", "median at most", "each at most" };
	const char *path = getenv("BENCH_JSON");
	FILE *out = path != NULL ? fopen(path, "a") : NULL;
	double b = series_median(&f->bare);

	if (out == NULL)
		return;
	fprintf(out, "{\"figure\": \"%s\", \"n\": %d, \"unit\": \"%s\"",
	    f->id, f->n, f->unit);
	json_series(out, "muster", &f->muster);
	json_series(out, "bare", &f->bare);
	if (b > 0 && f->muster.n > 0)
		fprintf(out, ", \"ratio\": %.4g",
		    series_median(&f->muster) / b);
	if (f->target != TARGET_NONE)
		fprintf(out, ", \"target\": {\"%s\": %g}, \"met\": %s",
		    kind[f->target], f->limit,
		    figure_met(f) ? "true" : "false");
	fprintf(out, "}\n");
	fclose(out);
}

/* Print one row; the series are sorted by it. */
static inline void
figure_print(struct figure *f)
{
	char name[80];

	series_sort(&f->muster);
	series_sort(&f->bare);
	if (f->n > 0)
		snprintf(name, sizeof(name), "%s, N=%d, %s", f->what, f->n,
		    f->unit);
	else
		snprintf(name, sizeof(name), "%s, %s", f->what, f->unit);
	printf("%-44s", name);
	print_series(&f->muster);
	print_series(&f->bare);
	print_target(f);
	figure_json(f);
	fflush(stdout);
}

/* A headline of the table, with how it was measured. */
static inline void
figure_head(const char *title, const char *how)
{
	printf("\n%s\n    %s\n%-44s %8s %-17s %8s %-17s %8s  %s\n", title,
	    how, "", "muster", "(min-max)", "bare", "(min-max)", "ratio",
	    "target");
}

#endif
