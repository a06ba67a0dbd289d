package l7

import (
	"io"
	"net/http"
	"sync"
)

// buffers bound what one response in transit holds in memory.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// relay streams a backend's response to the client. Its error is the backend's:
// when the client does not take the answer any more, relay just ends.
func relay(w http.ResponseWriter, resp *http.Response) error {
	announced := writeHead(w, resp)
	if err := relayBody(w, resp); err != nil {
		return err
	}
	relayTrailers(w.Header(), resp.Trailer, announced)
	return nil
}

// writeHead sends status and header and returns how many trailers it announced.
func writeHead(w http.ResponseWriter, resp *http.Response) int {
	h := w.Header()
	removeHopByHop(resp.Header)
	for name, values := range resp.Header {
		h[name] = values
	}
	addVia(h, resp.ProtoMajor, resp.ProtoMinor)
	if h["Content-Type"] == nil {
		h["Content-Type"] = nil // keeps net/http from guessing one
	}
	for name := range resp.Trailer {
		h.Add("Trailer", name)
	}
	announced := len(resp.Trailer)
	w.WriteHeader(resp.StatusCode)
	return announced
}

// relayBody copies the body. One of unknown length may be a stream of events, so
// each piece goes out as it comes.
func relayBody(w http.ResponseWriter, resp *http.Response) error {
	if resp.Body == http.NoBody {
		return nil
	}
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	stream := resp.ContentLength < 0
	var flush *http.ResponseController
	if stream {
		flush = http.NewResponseController(w)
		if flush.Flush() != nil {
			return nil
		}
	}
	for {
		n, err := resp.Body.Read(buf[:])
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return nil // the client has gone
			}
			if stream && flush.Flush() != nil {
				return nil
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// relayTrailers passes trailers on. Those that the head did not announce need
// net/http's prefix.
func relayTrailers(h, trailers http.Header, announced int) {
	prefix := ""
	if len(trailers) != announced {
		prefix = http.TrailerPrefix
	}
	for name, values := range trailers {
		h[prefix+name] = values
	}
}
