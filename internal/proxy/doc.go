// Package proxy is what an HTTP/1 proxy does, without any I/O: it is told what
// arrived on either side and answers by calls of the connections it was given.
// So the same proxy runs under every process model, and can be tested and fuzzed
// without a socket.
//
//	ClientConn   a client's connection: heads, pipelining, keep-alive
//	Exchange     one request on its way: route, pick, send, relay, retry, answer
//	BackendConn  a connection to a backend, in use or kept for the next request
//	Core         what the connections of one thread share; nothing of it is locked
//	Service      what requests are sent by: routes, members, policy; immutable
//
// A driver owns the sockets. It calls the connections' methods (Data, EOF,
// Drained, Expired, Closed) and implements Conn and Driver. All calls on one
// Core come from one thread.
package proxy
