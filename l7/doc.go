// Package l7 is the HTTP plane: a proxy process that takes HTTP/1.1 requests at
// the VIPs of a snapshot's L7 services and sends each to the backend that the
// service's policy picks.
//
// It has two sides. The daemon holds a Plane, which starts the proxy process or
// adopts the one that runs, hands it snapshots, reads its counters, and starts
// it again if it dies. The process itself is Run: a control endpoint on a unix
// socket, and the data plane. Forwarding outlives the daemon.
//
// The way of a request: frontend (a VIP's listener and servers) -> exchange (one
// atomic read of the table, a pick, a round trip, retries) -> pool (the
// connections to one backend) -> relay (the response streamed back).
//
// What this plane does not do yet: it drops Upgrade (the backend then answers in
// plain HTTP/1.1), refuses CONNECT with 501, passes no interim responses on
// besides 100 Continue, and bounds a stalled body by TCP_USER_TIMEOUT only.
package l7
