/*
 * Real programs, unmodified, as workers: each under load through scaling, a
 * rolling reload, a killed worker and a graceful stop. A row is a recipe; the
 * README shows them. Some close, when they are told to stop, connections that
 * they accepted and did not read from yet: for those, cuts bounds what a stop
 * may cost (one request of each client), and all others lose nothing at all.
 */
#include "tests/system/programs.h"

TestSuite(programs, .init = rig_setup, .fini = rig_cleanup, .timeout = 400);

/* For those that start in no time, so that the tests do not take long. */
#define SOON	.set = { "worker.ready=alive:500ms" }

#define LIFE(name, ...)							\
Test(programs, name##_loses_nothing_while_scaled_reloaded_and_stopped)	\
{									\
	program_lives(&(struct program){ __VA_ARGS__ });		\
}

/* ---- Python */

/* Its READY=1 comes before its worker has booted, so the preset waits. */
LIFE(gunicorn,
    .needs = { "/usr/bin/gunicorn" }, .preset = "gunicorn",
    .command = { "/usr/bin/gunicorn", "-w", "1", "wsgi:app" },
    .close_only = true)

LIFE(gunicorn_with_threads,
    .needs = { "/usr/bin/gunicorn" }, .preset = "gunicorn",
    .command = { "/usr/bin/gunicorn", "-w", "1", "-k", "gthread",
	"--threads", "4", "wsgi:app" })

LIFE(gunicorn_with_uvicorn,
    .needs = { "/usr/bin/gunicorn", "/usr/bin/uvicorn" },
    .preset = "gunicorn",
    .command = { "/usr/bin/gunicorn", "-w", "1", "-k",
	"uvicorn.workers.UvicornWorker", "asgi:app" },
    .cuts = 4)

LIFE(uvicorn,
    .needs = { "/usr/bin/uvicorn" }, .preset = "uvicorn",
    .command = { "/usr/bin/uvicorn", "--fd", "{fd:0}", "asgi:app" },
    .cuts = 4)

LIFE(daphne,
    .needs = { "/usr/bin/daphne" }, .preset = "daphne",
    .cuts = 4, .fast = true,
    .command = { "/usr/bin/daphne", "--fd", "{fd:0}", "asgi:app" })

LIFE(asyncio,
    .needs = { "/usr/bin/python3" },
    SOON,
    .command = { "/usr/bin/python3", "@FIX@/echo.py" },
    .protocol = EXACT_ECHO)

LIFE(aiohttp,
    .needs = { "/usr/lib/python3/dist-packages/aiohttp/__init__.py" },
    .preset = "aiohttp",
    .command = { "/usr/bin/python3", "@FIX@/aiohttp_app.py" },
    .cuts = 4)

LIFE(tornado,
    .needs = { "/usr/lib/python3/dist-packages/tornado/__init__.py" },
    .preset = "tornado",
    .command = { "/usr/bin/python3", "@FIX@/tornado_app.py" })

LIFE(twisted,
    .needs = { "/usr/lib/python3/dist-packages/twisted/__init__.py" },
    .preset = "twisted",
    .command = { "/usr/bin/python3", "@FIX@/twisted_app.py" })

LIFE(pythons_http_server,
    .needs = { "/usr/bin/python3" },
    SOON,
    .command = { "/usr/bin/python3", "@FIX@/http_server.py" },
    .close_only = true)

/* Its READY=1 comes before it heeds HUP, so the preset waits. */
LIFE(uwsgi,
    .needs = { "/usr/bin/uwsgi" }, .preset = "uwsgi",
    .command = { "/usr/bin/uwsgi", "--plugin", "python3", "--protocol",
	"http", "--wsgi-file", "@FIX@/wsgi.py" },
    .close_only = true)

/* ---- node */

LIFE(node,
    .needs = { "/usr/bin/node" }, .preset = "node",
    SOON,
    .command = { "/usr/bin/node", "@FIX@/server.js" })

LIFE(node_cluster,
    .needs = { "/usr/bin/node" }, .preset = "node",
    .command = { "/usr/bin/node", "@FIX@/cluster.js" },
    .cuts = 4)

/* ---- Ruby */

/* Not --bind-to-activated-sockets: of some stops 5.6.5 then never comes back. */
LIFE(puma,
    .needs = { "/usr/bin/puma" }, .preset = "puma",
    .command = { "/usr/bin/puma", "-b", "tcp://{addr:0}",
	"@FIX@/config.ru" },
    .cuts = 4)

/* A QUIT that comes while it boots is lost, so the preset waits. */
LIFE(unicorn,
    .needs = { "/usr/bin/unicorn" }, .preset = "unicorn",
    .command = { "/usr/bin/unicorn", "-l", "{addr:0}", "@FIX@/config.ru" },
    .close_only = true)

LIFE(plain_ruby,
    .needs = { "/usr/bin/ruby" },
    .command = { "/usr/bin/ruby", "@FIX@/ruby_server.rb" },
    .protocol = EXACT_ECHO, .close_only = true)

/* ---- Perl */

LIFE(starman,
    .needs = { "/usr/bin/starman" }, .preset = "starman",
    .command = { "/usr/bin/starman", "--workers", "4",
	"--disable-keepalive", "@FIX@/app.psgi" },
    .close_only = true, .cuts = 4)

LIFE(twiggy,
    .needs = { "/usr/bin/twiggy" }, .preset = "twiggy",
    SOON,
    .command = { "/usr/bin/twiggy", "@FIX@/app.psgi" })

LIFE(mojolicious_prefork,
    .needs = { "/usr/share/perl5/Mojolicious.pm" },
    .preset = "mojo",
    .command = { "/bin/sh", "-c", "exec perl @FIX@/mojo.pl prefork "
	"-m production -w 1 -P @DIR@/$$.pid "
	"-l 'http://127.0.0.1?fd={fd:0}'" },
    .cuts = 4)

LIFE(server_starter,
    .needs = { "/usr/share/perl5/Server/Starter.pm" },
    .set = { "worker.sockets=server-starter",
	"worker.ready=alive:500ms" },
    .command = { "/usr/bin/perl", "@FIX@/starter.pl" },
    .protocol = EXACT_ECHO, .close_only = true)

/* ---- servers of their own */

LIFE(nginx,
    .needs = { "/usr/sbin/nginx" }, .preset = "nginx",
    SOON,
    .command = { "/usr/sbin/nginx", "-e", "stderr", "-c", "@DIR@/conf" },
    .conf = "nginx.conf", .slow = SLOW_READ)

LIFE(php_fpm,
    .needs = { "/usr/sbin/php-fpm8.2" }, .preset = "php-fpm",
    .command = { "/usr/sbin/php-fpm8.2", "-y", "@DIR@/conf" },
    .conf = "fpm.conf", .protocol = EXACT_FASTCGI, .close_only = true,
    .script = "@FIX@/echo.php")

LIFE(haproxy,
    .needs = { "/usr/sbin/haproxy" }, .preset = "haproxy",
    SOON,
    .command = { "/usr/sbin/haproxy", "-db", "-f", "@DIR@/conf" },
    .conf = "haproxy.cfg", .slow = SLOW_BODY)

LIFE(haproxy_with_a_master_of_its_own,
    .needs = { "/usr/sbin/haproxy" }, .preset = "haproxy",
    .command = { "/usr/sbin/haproxy", "-Ws", "-f", "@DIR@/conf" },
    .conf = "haproxy.cfg", .slow = SLOW_BODY)

LIFE(lighttpd,
    .needs = { "/usr/sbin/lighttpd" }, .preset = "lighttpd",
    SOON,
    .command = { "/usr/sbin/lighttpd", "-D", "-f", "@DIR@/conf" },
    .conf = "lighttpd.conf", .expect = "a small page", .slow = SLOW_READ)

LIFE(h2o,
    .needs = { "/usr/bin/h2o" }, .preset = "h2o",
    SOON,
    .command = { "/usr/bin/h2o", "-c", "@DIR@/conf" },
    .conf = "h2o.conf", .expect = "a small page", .slow = SLOW_READ)
