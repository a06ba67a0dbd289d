// Package supervise is the master's side of worker processes, and the little
// that a worker needs to be one. It knows nothing of what the workers serve.
//
// A Supervisor keeps so many children running, starts again what died, and
// replaces one generation of them by the next without a pause. Each child has a
// Link to the master, a socket for messages, as its descriptor 3. The master
// opens the sockets to listen at (Listeners) and keeps them open, so that what
// waits in a queue is not lost with the process that would have accepted it;
// Upgrade hands them to a new binary.
//
// When the master dies, whatever it dies of, its children see the end of their
// link and finish what they have begun. They do not outlive it as orphans that
// hold the addresses: the next master starts from its own configuration.
package supervise
