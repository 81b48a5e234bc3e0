#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "worker/app.h"
#include "worker/conn.h"
#include "worker/lines.h"

/*
 * The echo app: every line comes back as it was, with its ending, as soon as
 * it is complete.
 */
#define ECHO_MAX_SANE	((size_t)1 << 30)	/* for "no limit" */
#define ECHO_TOO_LONG	"ERR line too long\n"

extern const struct app app_echo;

static int
echo_init(struct app_context *context, struct err *err)
{
	const struct conf_echo	*conf = &context->conf->echo;
	struct lines_rule	*rule;

	(void)err;
	rule = xcalloc(1, sizeof(*rule));
	rule->max = ECHO_MAX_SANE;
	if (conf->max_line > 0 && (uint64_t)conf->max_line < ECHO_MAX_SANE)
		rule->max = (size_t)conf->max_line;
	if (conf->fault_word != NULL && conf->fault_word[0] != '\0') {
		rule->fault = conf->fault_word;
		rule->fault_len = strlen(conf->fault_word);
	}
	context->idle_ms = conf->idle_timeout;
	context->data = rule;
	return 0;
}

static void
echo_input(struct app_context *context, struct conn *conn, const char *data,
    size_t len)
{
	const struct lines_rule	*rule = context->data;
	struct lines_cut	 cut;
	const char		*held;
	size_t			 nheld;

	held = conn_held(conn, &nheld);
	lines_cut(rule, held, nheld, data, len, &cut);
	if (cut.count > 0)
		conn_reply(conn, data, cut.used, cut.count);
	switch (cut.end) {
	case LINES_MORE:
		conn_keep(conn, data + cut.used, len - cut.used);
		break;
	case LINES_LONG:
		conn_finish(conn, ECHO_TOO_LONG);
		break;
	case LINES_FAULT:
		conn_fail(conn, "the fault word was received");
		break;
	}
}

static void
echo_fini(struct app_context *context)
{
	free(context->data);
	context->data = NULL;
}

const struct app app_echo = {
	.name = "echo",
	.init = echo_init,
	.input = echo_input,
	.fini = echo_fini,
};
