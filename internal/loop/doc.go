// Package loop is a single-threaded event loop for stream sockets, over epoll or
// over io_uring with one API. A proxy, a load generator and web servers share it.
//
// A Loop and all that belongs to it is used from the goroutine that calls Run,
// or before Run is called by the one that made it. Only Post and Stop may be
// called from anywhere. Nothing is locked and, once a loop has seen its peak,
// nothing is allocated per event or per connection.
//
// A Conn belongs to its user until Close, CloseWhenDrained, Abort or Detach is
// called on it or until Closed has returned; after the iteration that this
// happens in, the loop gives it to the next connection. Until then further calls
// of its methods do nothing.
package loop
