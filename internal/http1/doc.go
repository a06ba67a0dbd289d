// Package http1 is the HTTP/1 codec: it turns bytes into heads and bodies of
// requests and responses, and back. It does no I/O, keeps no copy of a head
// and allocates nothing once a caller's Request or Response has the capacity
// for its fields. The proxy, the load generator and the lab's web servers share
// it.
//
// It reads strictly by RFC 9112 (HTTP/1.1) and RFC 9110 (semantics), because
// two readers that disagree about where a message ends are how requests are
// smuggled. Where the RFCs leave a choice it is made here:
//
//   - Lines end with CRLF. A bare LF, which RFC 9112 2.2 lets one accept, is an
//     error, and so are obs-fold and whitespace before a colon.
//   - A request target may have any visible ASCII character but '#', as in nginx:
//     clients do send | [ ] { } " < > ^ ` \ unescaped. Its path may have no broken
//     percent-encoding. Bytes above 0x7e are errors.
//   - Content-Length occurs once and is one number; repetitions are errors, also
//     of the same value. So are both Content-Length and Transfer-Encoding.
//   - Transfer-Encoding is "chunked", once. A request with another one gets 501.
//   - Host is never empty, except in HTTP/1.0, where it may be missing. IPvFuture
//     is not known, a port is at most 65535.
//   - Connection may not name Content-Length or Host: a recipient that removes
//     what it names would change framing or routing. It has at most 64 options.
//     What else it names is Hop and may be dropped; a proxy adds its own fields after it
//     has dropped the client's.
//   - Chunk extensions follow the grammar, whitespace before ';' and around '='
//     included, none before CRLF; 256 bytes a chunk and 16 KiB a body at most.
//   - CONNECT and TRACE have no body (RFC 9110 9.3.6, 9.3.8): framing fields with them are errors.
//   - Content_Length and Transfer_Encoding are errors: who hands fields on as variables (RFC
//     3875 4.1.18) cannot tell them from the names with a hyphen.
//   - A response 1xx or 204 may say "Content-Length: 0", which is no news, but
//     nothing else about framing (RFC 9110 8.6, RFC 9112 6.1).
//   - A status line may lack the space after its code if it lacks a phrase.
//   - HTTP/1.2 to 1.9 are read as 1.1.
//   - Trailers that speak of framing, routing or the connection are errors; others
//     that must come in the head (RFC 9110 6.5.1) are dropped.
package http1
