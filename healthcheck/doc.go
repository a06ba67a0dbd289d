// Package healthcheck finds out which backends are up. A Monitor probes every
// target, an address judged by a check, from one goroutine each, damps the
// results (threshold.go) and tells of the changes.
//
// Detection is bounded: a target that stops answering is down after at most
// fall × interval plus one timeout, provided that timeout and fast interval
// are no longer than the interval.
package healthcheck
