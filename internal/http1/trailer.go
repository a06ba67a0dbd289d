package http1

import (
	"bytes"
	"slices"
)

// late has the fields that are of no use in a trailer section, since they had to be known before
// the body (RFC 9110 6.5.1). Those up to Expect are errors there.
var late = [256]bool{
	KeepAlive: true, ProxyConnection: true, Trailer: true, ProxyAuthenticate: true, ProxyAuthorization: true,
	Authorization: true, WWWAuthenticate: true, Cookie: true, SetCookie: true,
	CacheControl: true, Pragma: true, MaxForwards: true, Range: true, AcceptRanges: true,
	IfMatch: true, IfModifiedSince: true, IfNoneMatch: true, IfRange: true, IfUnmodifiedSince: true,
	Age: true, Date: true, Expires: true, Location: true, RetryAfter: true, Vary: true,
	ContentEncoding: true, ContentRange: true, ContentType: true,
	Forwarded: true, Via: true, XForwardedFor: true, XForwardedHost: true, XForwardedPort: true, XForwardedProto: true,
	XRealIP: true, XRequestID: true,
}

// trailer takes bytes of the trailer section and of the empty line that ends it, a
// line at most. Nothing is copied if the empty line is all there is and comes
// in one piece.
func (b *Body) trailer(buf []byte) (used int, err *Error) {
	if len(b.raw) == 0 && len(buf) > 1 && buf[0] == '\r' && buf[1] == '\n' {
		b.state = ended
		return 2, nil
	}
	used = bytes.IndexByte(buf, '\n') + 1
	if used == 0 {
		used = len(buf)
	}
	used = min(used, orDefault(b.Limits).Head-len(b.raw))
	b.raw = append(b.raw, buf[:used]...)
	b.parser.Limits = b.Limits
	n, err := b.parser.trailers(b.raw, &b.trailers)
	if n > 0 {
		b.state = ended
		b.trailers = slices.DeleteFunc(b.trailers, func(f Field) bool { return late[f.ID] })
	}
	return used, err
}

// trailers is Request for a section without a first line.
func (p *Parser) trailers(buf []byte, dst *[]Field) (n int, err *Error) {
	if p.undecided(buf) {
		return 0, nil
	}
	*dst, n, err = p.fields(buf, *dst, ofTrailer)
	if n > 0 && p.again {
		p.Reset()
		*dst, n, err = p.fields(buf, (*dst)[:0], ofTrailer)
	}
	return p.left(n, err)
}
