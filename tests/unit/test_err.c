#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "common/err.h"

TestSuite(err, .timeout = 10);

Test(err, set_formats_and_returns_minus_one)
{
	struct err	 err;

	cr_expect_eq(err_set(&err, "no %s %d", "slot", 3), -1);
	cr_expect_str_eq(err.text, "no slot 3");
}

Test(err, sys_says_why_and_keeps_errno)
{
	struct err	 err;

	errno = EACCES;
	cr_expect_eq(err_sys(&err, "cannot open %s", "/x"), -1);
	cr_expect_eq(errno, EACCES);
	cr_expect_str_eq(err.text, "cannot open /x: Permission denied");
}

Test(err, a_long_text_is_cut)
{
	struct err	 err;
	char		 text[2000];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set(&err, "%s", text);
	cr_expect_eq(strlen(err.text), sizeof(err.text) - 1);
	err_sys(&err, "%s", text);
	cr_expect_eq(strlen(err.text), sizeof(err.text) - 1);
}
