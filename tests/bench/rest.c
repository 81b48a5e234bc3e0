/*
 * The program that stands for any: started, it rests until it is ended.
 */
#include <sys/prctl.h>
#include <signal.h>
#include <unistd.h>

int
main(void)
{
	/* A bench that is killed must leave nothing behind. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}
