#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/board.h"

static struct board	*board;
static struct err	 err;

static void
setup(void)
{
	board = board_new(&err);
	cr_assert_not_null(board, "%s", err.text);
}

static void
teardown(void)
{
	board_free(board);
}

TestSuite(board, .timeout = 10, .init = setup, .fini = teardown);

static int64_t
bytes_held(void)
{
	struct stat	 st;

	cr_assert_eq(fstat(board_fd(board), &st), 0);
	return st.st_blocks * 512;
}

Test(board, cells_are_taken_from_the_lowest)
{
	int	 i;

	for (i = 0; i < 200; i++)
		cr_assert_eq(board_take(board, &err), i);
	board_release(board, 150);
	board_release(board, 7);
	board_release(board, 66);
	cr_expect_eq(board_take(board, &err), 7);
	cr_expect_eq(board_take(board, &err), 66);
	cr_expect_eq(board_take(board, &err), 150);
	cr_expect_eq(board_take(board, &err), 200);
}

Test(board, a_release_of_what_is_not_taken_does_nothing)
{
	cr_assert_eq(board_take(board, &err), 0);
	board_release(board, -1);
	board_release(board, 1);
	board_release(board, 1 << 30);
	board_release(board, 0);
	board_release(board, 0);
	cr_expect_eq(board_take(board, &err), 0);
	cr_expect_eq(board_take(board, &err), 1);
}

Test(board, the_master_reads_what_a_worker_wrote)
{
	struct figures	 f;
	struct cell	*cell;
	int		 nr, status;
	pid_t		 pid;

	board_take(board, &err);
	nr = board_take(board, &err);
	if ((pid = fork()) == 0) {
		if ((cell = board_map(board_fd(board), nr, &err)) == NULL)
			_exit(1);
		atomic_store(&cell->beat_ms, 11);
		atomic_store(&cell->accepted, 22);
		atomic_store(&cell->served, 33);
		atomic_store(&cell->errors, 44);
		atomic_store(&cell->bytes, 55);
		atomic_store(&cell->active, 66);
		board_unmap(cell);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	cr_assert_eq(board_read(board, nr, &f), 0);
	cr_expect(f.beat_ms == 11 && f.accepted == 22 && f.served == 33);
	cr_expect(f.errors == 44 && f.bytes == 55 && f.active == 66);
	cr_assert_eq(board_read(board, 0, &f), 0);
	cr_expect_eq(f.accepted, 0, "the neighbour's cell was touched");
}

Test(board, a_cell_is_zero_again_when_taken_again)
{
	struct figures	 f;
	struct cell	*cell;
	int		 nr = board_take(board, &err);
	int64_t		 before = bytes_held();

	cell = board_map(board_fd(board), nr, &err);
	cr_assert_not_null(cell);
	atomic_store(&cell->served, 99);
	board_unmap(cell);
	cr_expect_gt(bytes_held(), before);
	board_release(board, nr);
	cr_expect_eq(bytes_held(), before, "the memory was kept");
	cr_assert_eq(board_take(board, &err), nr);
	cr_assert_eq(board_read(board, nr, &f), 0);
	cr_expect_eq(f.served, 0);
}

Test(board, reading_a_cell_that_is_not_there_is_refused)
{
	struct figures	 f;
	static const int cells[] = { -1, -1000000, 64, 1 << 30 };
	size_t		 i;

	board_take(board, &err);
	for (i = 0; i < sizeof(cells) / sizeof(*cells); i++) {
		errno = 0;
		cr_expect_eq(board_read(board, cells[i], &f), -1);
		cr_expect_eq(errno, EINVAL);
	}
}

Test(board, mapping_a_cell_that_is_not_there_is_refused)
{
	cr_expect_null(board_map(board_fd(board), 0, &err));
	cr_expect_str_eq(err.text, "the scoreboard has no cell 0");
	board_take(board, &err);
	cr_expect_null(board_map(board_fd(board), -1, &err));
	cr_expect_null(board_map(board_fd(board), 1 << 30, &err));
	cr_expect_null(board_map(-1, 0, &err));
}

Test(board, nobody_can_shrink_or_seal_it_and_it_still_grows)
{
	int	 i;

	board_take(board, &err);
	cr_expect_eq(ftruncate(board_fd(board), 0), -1);
	cr_expect_eq(fcntl(board_fd(board), F_ADD_SEALS, F_SEAL_GROW), -1);
	for (i = 1; i < 1000; i++)
		cr_assert_eq(board_take(board, &err), i, "%s", err.text);
}

Test(board, it_is_not_passed_on_to_programs)
{
	cr_expect_eq(fcntl(board_fd(board), F_GETFD), FD_CLOEXEC);
}

Test(board, a_map_outlives_the_descriptor)
{
	struct cell	*cell;
	int		 fd;

	board_take(board, &err);
	fd = dup(board_fd(board));
	cell = board_map(fd, 0, &err);
	close(fd);
	cr_assert_not_null(cell);
	atomic_store(&cell->active, 1);
	cr_expect_eq(atomic_load(&cell->active), 1);
	board_unmap(cell);
}

Test(board, a_descriptor_that_knows_no_seals_is_no_board)
{
	int	 fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	cr_assert_neq(fd, -1);
	cr_expect_null(board_restore(fd, NULL, 0, &err));
	cr_expect_neq(strstr(err.text, "is no scoreboard"), NULL);
	close(fd);
	cr_expect_null(board_restore(fd, NULL, 0, &err));
}
