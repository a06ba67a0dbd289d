// Package traffic makes and measures load: the lab's HTTP servers, the load
// generator, and the comparison that runs the generator over several ways to
// the same servers while it watches what the machine spends.
package traffic
