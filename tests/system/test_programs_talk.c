/*
 * Programs whose clients stay: echo with its two seconds, WebSocket and
 * Socket.IO. A stop and a reload end each connection in the order of its
 * protocol, and never by a reset.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/programs.h"

TestSuite(talk, .init = rig_setup, .fini = rig_cleanup, .timeout = 60);

#define COUNT	"6"	/* clients: likely some with each worker */
#define MODULE(name)	"/usr/lib/python3/dist-packages/" name "/__init__.py"

static struct rig r;
static int crowds;	/* of clients, started so far */

static int
count(const char *text, const char *word)
{
	int n = 0;

	for (; (text = strstr(text, word)) != NULL; text += strlen(word))
		n++;
	return n;
}

/* Clients of a fixture, once all of them are connected. */
static const char *
start_clients(const char *fixture)
{
	const char *out = rig_path(crowds++ == 0 ? "clients" : "more");
	const char *argv[] = { "/usr/bin/python3", program_text(fixture),
		r.addr, COUNT, NULL };

	program_client(out, argv);
	if (!eventually(strstr(rig_read(&r, out), "open") != NULL))
		rig_fail(&r, "the clients: %s", rig_read(&r, out));
	return out;
}

static void
all_say(const char *out, const char *word)
{
	if (!eventually(count(rig_read(&r, out), word) == atoi(COUNT)))
		rig_fail(&r, "not " COUNT " times \"%s\": %s", word,
		    rig_read(&r, out));
}

/* ---- asyncio */

static const struct program echo = {
	.needs = { "/usr/bin/python3" },
	.command = { "/usr/bin/python3", "@FIX@/echo.py" },
	.protocol = EXACT_ECHO,
};

Test(talk, asyncio_gives_its_pending_tasks_two_seconds_and_not_more)
{
	int64_t begin, took;
	int slow, never;

	program_start(&r, &echo);
	slow = rig_connect(&r);
	never = rig_connect(&r);
	client_say(slow, "/slow\n");
	client_say(never, "/never\n");
	usleep(200000);
	begin = rig_now_ms();
	rig_signal(&r, SIGTERM);
	cr_expect_str_eq(client_hear(slow), "/slow\n");
	cr_expect(client_ended(never), "the answer that never comes ends, "
	    "not resets");
	cr_expect_eq(rig_exit_code(&r), 0);
	took = rig_now_ms() - begin;
	cr_expect(took >= 1900 && took < 4000, "%lld ms", (long long)took);
}

/* ---- WebSocket */

static void
close_in_order(const struct program *program)
{
	const char *out;

	program_start(&r, program);
	out = start_clients("@FIX@/ws_clients.py");
	rig_signal(&r, SIGHUP);
	all_say(out, "closed 1001");
	rig_await_log(&r, "reload.done gen=2");
	out = start_clients("@FIX@/ws_clients.py");
	cr_expect_eq(rig_stop(&r), 0);
	all_say(out, "closed 1001");
	cr_expect(eventually(program_all_gone()));
}

Test(talk, websockets_of_python_are_closed_with_1001)
{
	close_in_order(&(struct program){
	    .needs = { MODULE("websockets") },
	    .command = { "/usr/bin/python3", "@FIX@/ws.py" } });
}

Test(talk, websockets_of_node_are_closed_with_1001)
{
	close_in_order(&(struct program){
	    .needs = { "/usr/bin/node", "/usr/share/nodejs/ws/package.json",
		MODULE("websockets") },
	    .preset = "node",
	    .command = { "/usr/bin/node", "@FIX@/ws.js" } });
}

/* ---- Socket.IO */

Test(talk, socket_io_clients_hear_disconnect_and_come_back)
{
	const struct program sio = {
	    .needs = { MODULE("socketio"), MODULE("aiohttp") },
	    .preset = "aiohttp",
	    .command = { "/usr/bin/python3", "@FIX@/sio.py" } };
	const char *out;

	program_start(&r, &sio);
	out = start_clients("@FIX@/sio_clients.py");
	rig_signal(&r, SIGHUP);
	all_say(out, "disconnect");
	all_say(out, "back");
	rig_await_log(&r, "reload.done gen=2");
	cr_expect(strstr(rig_read(&r, out), "wrong") == NULL);
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect(eventually(program_all_gone()));
}
