package main

import (
	"fmt"
	"os/exec"
	"strconv"
)

// engine is a balancer that can be started.
type engine struct {
	name    string
	command func(site) (*exec.Cmd, error)
	ready   func(site) error // once the front answers; nil: nothing more
	few     bool             // no more clients than processes or threads
}

// site is what a configuration is made of.
type site struct {
	Dir       string
	Front     string
	Backends  []string
	Room      int // connections that it may have to clients and backends together
	Workers   int
	MPM       string
	Clients   int // of the process or thread per connection ones
	Processes int
	Threads   int
	Waiting   int // clients that only wait, by thread
	self      string
}

// clients are as many as the largest case of those engines has connections, and
// some for those that end while others begin.
const perThread, spare = 64, 16

// roomFor is how many connections an engine is configured for that is to hold n:
// some are listeners, some end while others begin, and nginx closes idle ones when
// less than a sixteenth of its room is free.
func roomFor(n int) int { return (n + 256) * 16 / 15 }

var engines = []engine{
	{name: "nginx", command: func(s site) (*exec.Cmd, error) {
		return configured("nginx", "conf/nginx.conf", s, "-c")
	}},
	{name: "haproxy", command: func(s site) (*exec.Cmd, error) {
		return configured("haproxy", "conf/haproxy.cfg", s, "-f")
	}},
	apache("prefork"), apache("worker"), apache("event"),
	ours("io_uring", "--model", "loop", "--events", "io_uring"), ours("epoll", "--model", "loop", "--events", "epoll"),
	ours("prefork", "--model", "prefork"), ours("worker", "--model", "worker"), ours("event", "--model", "event"),
}

func apache(mpm string) engine {
	return engine{name: "apache-" + mpm, few: mpm != "event", command: func(s site) (*exec.Cmd, error) {
		s.MPM, s.Waiting = mpm, 2+2*s.Room/s.Clients // twice, for one process may get more than another
		return configured("apache2", "conf/httpd.conf", s, "-DFOREGROUND", "-f")
	}}
}

// ours is this project's proxy, run as the daemon runs it.
func ours(name string, flags ...string) engine {
	few := name == "prefork" || name == "worker"
	return engine{name: "lbctl-" + name, few: few, ready: applySnapshot, command: func(s site) (*exec.Cmd, error) {
		args := append([]string{"l7-proxy", "--socket", s.Dir + "/l7.sock"}, flags...)
		switch name {
		case "prefork":
			args = append(args, "--processes", strconv.Itoa(s.Clients), "--start", strconv.Itoa(s.Clients), "--min-spare", "1", "--max-spare", strconv.Itoa(s.Clients))
		case "worker", "event":
			args = append(args, "--threads", strconv.Itoa(s.Threads), "--processes", strconv.Itoa(s.Processes), "--start", strconv.Itoa(s.Processes),
				"--min-spare", "1", "--max-spare", strconv.Itoa(s.Clients+s.Threads))
		default:
			args = append(args, "--processes", strconv.Itoa(s.Workers))
		}
		return exec.Command(s.self, args...), nil
	}}
}

func engineNames() []string {
	names := make([]string, len(engines))
	for i, e := range engines {
		names[i] = e.name
	}
	return names
}

func engineNamed(name string) (engine, error) {
	for _, e := range engines {
		if e.name == name {
			return e, nil
		}
	}
	return engine{}, fmt.Errorf("engine %q: want one of %v", name, engineNames())
}
