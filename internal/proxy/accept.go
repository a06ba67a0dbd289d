package proxy

import (
	"lbctl/internal/http1"
	"lbctl/internal/lb"
)

// accept takes a request that is for a backend.
func (x *Exchange) accept(r *http1.Request) {
	h := &x.service.HTTP
	switch {
	case !x.mayPass(r):
		return
	case h.MaxBody > 0 && r.Body == http1.ByLength && r.Length > uint64(h.MaxBody):
		x.reject(413, "the request's body is too large")
		return
	case x.route != nil && !x.route.rewrite.apply(r, x.core):
		x.reject(400, "the path can be read in several ways")
		return
	}
	if x.service.Policy == lb.KeyHash {
		x.key.Hash = hashKey(r, h.Hash)
	}
	x.stuck = x.service.sticky.stuckTo(r)
	x.upgrade = x.whole && tunnels(r.Upgrade)
	x.chunked = r.Body == http1.Chunked
	x.gathers = !x.whole && h.BufferRequest > 0 && (x.chunked || r.Length <= uint64(h.BufferRequest))
	if x.gathers && r.Expect100 { // the backend, which is to say so, comes after the body
		x.client.write(continues)
	}
	x.out = appendRequest(x.core.buffer(), r, x)
	x.remade = true
	if h.RequestTimeout > 0 {
		x.timer = x.core.driver.After(h.RequestTimeout, x.late)
	}
}

// continues is what a client waits for that has sent "Expect: 100-continue".
var continues = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// requestEdits and responseEdits are those of the route, nil if there are none.
func (x *Exchange) requestEdits() *edits {
	if x.route == nil {
		return nil
	}
	return x.route.request
}

func (x *Exchange) responseEdits() *edits {
	if x.route == nil {
		return nil
	}
	return x.route.response
}
