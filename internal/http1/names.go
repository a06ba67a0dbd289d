package http1

// Name is a field name that somebody asks for.
type Name uint8

// The known names. Those up to Expect decide about framing, routing or the
// connection, and parsers look at their values.
const (
	NameOther Name = iota
	Host
	ContentLength
	TransferEncoding
	Connection
	TE
	Upgrade
	ContentLengthUnderscored // Content_Length, which is none, but some take it for one
	TransferEncodingUnderscored
	Expect

	KeepAlive
	ProxyConnection
	Trailer
	ProxyAuthenticate
	ProxyAuthorization

	Accept
	AcceptEncoding
	AcceptLanguage
	AcceptRanges
	Age
	Allow
	AltSvc
	Authorization
	CacheControl
	ContentEncoding
	ContentRange
	ContentType
	Cookie
	Date
	ETag
	Expires
	Forwarded
	IfMatch
	IfModifiedSince
	IfNoneMatch
	IfRange
	IfUnmodifiedSince
	LastModified
	Location
	MaxForwards
	Pragma
	Priority
	Range
	Referer
	RetryAfter
	Server
	SetCookie
	StrictTransportSecurity
	Traceparent
	UserAgent
	Vary
	Via
	WWWAuthenticate
	XForwardedFor
	XForwardedHost
	XForwardedPort
	XForwardedProto
	XRealIP
	XRequestID
	lastName
)

// names has what each is called, in the order above.
var names = [lastName]string{
	"",
	"Host", "Content-Length", "Transfer-Encoding", "Connection", "TE", "Upgrade", "Content_Length", "Transfer_Encoding", "Expect",
	"Keep-Alive", "Proxy-Connection", "Trailer", "Proxy-Authenticate", "Proxy-Authorization",
	"Accept", "Accept-Encoding", "Accept-Language", "Accept-Ranges", "Age", "Allow", "Alt-Svc", "Authorization",
	"Cache-Control", "Content-Encoding", "Content-Range", "Content-Type", "Cookie", "Date", "ETag", "Expires",
	"Forwarded", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since",
	"Last-Modified", "Location", "Max-Forwards", "Pragma", "Priority", "Range", "Referer", "Retry-After",
	"Server", "Set-Cookie", "Strict-Transport-Security", "Traceparent", "User-Agent", "Vary", "Via",
	"WWW-Authenticate", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto",
	"X-Real-IP", "X-Request-ID",
}

// String returns the name as one usually writes it, "" for NameOther.
func (n Name) String() string { return names[n] }

// hop has the fields that concern one connection whatever Connection says:
// RFC 9110 7.6.1, and those that are for the next recipient only, Trailer
// (which describes a framing that need not be the next one's) and the two of
// proxy authentication (11.7.1, 11.7.2).
var hop = [256]bool{
	Connection: true, ProxyConnection: true, KeepAlive: true, TE: true, TransferEncoding: true, Upgrade: true,
	Trailer: true, ProxyAuthenticate: true, ProxyAuthorization: true,
}
