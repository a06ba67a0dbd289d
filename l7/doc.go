// Package l7 is the HTTP plane: a proxy that takes HTTP/1 requests at the VIPs of a
// snapshot's L7 services and sends each to a backend that the service's policy
// picks. What a proxy does stands in internal/proxy, without any I/O; here are the
// processes and threads that do it.
//
//	Plane      the daemon's handle: starts the proxy or adopts the one that runs,
//	           hands it snapshots, reads its counters, starts it again if it dies
//	master     (Run) the control socket, the listening sockets, the accounts; it
//	           forwards nothing, and obeys nginx's signals
//	processes  the workers under supervision (internal/supervise)
//	engine     (Work) a worker's data plane: its threads, and the VIPs it listens at
//	runner     a thread: a looper (model loop), a thread (prefork, worker, event),
//	           a listener (event); each drives a proxy.Core of its own
//
// Forwarding outlives the daemon. A snapshot comes into force in all workers
// without a new process; HUP, USR2 and a crash bring new ones.
package l7
