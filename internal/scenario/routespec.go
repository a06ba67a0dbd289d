package scenario

// HTTPRouteSpec is a route of requests, as typed.
type HTTPRouteSpec struct {
	Pos     Pos
	Hosts   List[Val[HostPattern]] `yaml:"hosts" default:"(any)" doc:"Hosts, whatever the case and the port: a name, or *. and a name for all below it."`
	Path    Val[Path]              `yaml:"path" default:"(any)" doc:"The path, exactly."`
	Prefix  Val[Path]              `yaml:"prefix" default:"(any)" doc:"Whole segments at the path's begin: /a is one of /a and /a/b, not of /ab."`
	Regexp  Val[Pattern]           `yaml:"regexp" default:"(any)" doc:"Regular expression that the path must match, anchored as written."`
	Methods List[Val[MethodName]]  `yaml:"methods" default:"(any)" doc:"Request methods."`
	Headers List[HeaderMatchSpec]  `yaml:"headers" default:"(any)" doc:"Request headers, all of which must match."`

	Service  Val[NodeName] `yaml:"service" default:"(this one)" doc:"The l7 service to whose backends requests go, by its policy and its http; its own routes are not looked at."`
	Redirect RedirectSpec  `yaml:"redirect" default:"(no)" doc:"Answer with another place to ask."`
	Respond  RespondSpec   `yaml:"respond" default:"(no)" doc:"Answer at once."`
	Rewrite  RewriteSpec   `yaml:"rewrite" default:"(no)" doc:"Change the path that the backend, or redirect, gets."`
	Request  EditsSpec     `yaml:"request_headers" default:"(as they are)" doc:"Changes of the request's headers."`
	Response EditsSpec     `yaml:"response_headers" default:"(as they are)" doc:"Changes of the answer's headers."`
}

// HeaderMatchSpec is a condition for a header, as typed.
type HeaderMatchSpec struct {
	Pos    Pos
	Name   Val[HeaderName]  `yaml:"name" required:"true" short:"true" doc:"Name of the header, which must be there."`
	Value  Val[HeaderValue] `yaml:"value" default:"(any)" doc:"Its value, exactly."`
	Regexp Val[Pattern]     `yaml:"regexp" default:"(any)" doc:"Regular expression that its value must match, anchored as written."`
}

// RedirectSpec is a redirect, as typed.
type RedirectSpec struct {
	Pos    Pos
	To     Val[Location]     `yaml:"to" required:"true" short:"true" doc:"Where to: {host} (without port), {path} (after rewrite) and {query} (with its ?, if there is one) are the request's."`
	Status Val[RedirectWord] `yaml:"status" default:"302" doc:"Status code."`
}

// RespondSpec is an answer, as typed.
type RespondSpec struct {
	Pos         Pos
	Status      Val[Code]        `yaml:"status" required:"true" short:"true" doc:"Status code."`
	Body        Val[BodyText]    `yaml:"body" default:"(empty)" doc:"Body."`
	ContentType Val[HeaderValue] `yaml:"content_type" default:"text/plain; charset=utf-8" doc:"Type of the body."`
}

// RewriteSpec is a change of a path, as typed.
type RewriteSpec struct {
	Pos    Pos
	Prefix Val[Path]    `yaml:"prefix" default:"(no)" doc:"Takes the place of the prefix that the route matches."`
	Path   Val[Path]    `yaml:"path" default:"(no)" doc:"Takes the place of the whole path."`
	Regexp Val[Pattern] `yaml:"regexp" default:"(no)" doc:"What it matches first becomes to."`
	To     Val[Groups]  `yaml:"to" default:"(nothing)" doc:"With regexp: $1 or ${name} are what its groups matched."`
}

// EditsSpec are changes of headers, as typed.
type EditsSpec struct {
	Pos    Pos
	Set    Map[HeaderName, Val[HeaderValue]] `yaml:"set" default:"(none)" doc:"Headers that replace those of their name."`
	Add    Map[HeaderName, Val[HeaderValue]] `yaml:"add" default:"(none)" doc:"Headers that come beside those of their name."`
	Remove List[Val[HeaderName]]             `yaml:"remove" default:"(none)" doc:"Headers that go."`
}

// Texts of routes.
type (
	HostPattern  = Text[hostPatternForm]
	MethodName   = Text[methodForm]
	HeaderValue  = Word[headerValueForm]
	Location     = Text[locationForm]
	RedirectWord = Int[redirectBounds]
	Code         = Int[codeBounds]
	BodyText     = Word[bodyTextForm]
	Groups       = Word[groupsForm]
)

type (
	hostPatternForm struct{}
	methodForm      struct{}
	headerValueForm struct{}
	locationForm    struct{}
	redirectBounds  struct{}
	codeBounds      struct{}
	bodyTextForm    struct{}
	groupsForm      struct{}
)

func (hostPatternForm) form() (string, string) {
	return `a host such as "www.example.com" or "*.example.com", without port`, `^((\*\.)?([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}|\[[0-9A-Fa-f:.]+\])$`
}

func (methodForm) form() (string, string) {
	return `a method such as "GET"`, `^[A-Z][A-Z-]{0,23}$`
}

func (headerValueForm) form() (string, string) {
	return `a header's value`, `^[!-~]([ -~]{0,998}[!-~])?$`
}

func (locationForm) form() (string, string) {
	return `a place such as "https://{host}{path}{query}" or "/new"`, `^(https?://[!-~]|/|\{path\})[!-~]{0,1000}$`
}

func (redirectBounds) bounds() (string, int64, int64) { return "a status of redirects", 301, 308 }
func (codeBounds) bounds() (string, int64, int64)     { return "a status", 200, 599 }

func (bodyTextForm) form() (string, string) { return `a text`, `^[\s\S]{0,1000}$` }

func (groupsForm) form() (string, string) {
	return `a path such as "/users/$1"`, `^[!"$&->@-\[\]-~]{0,1000}$`
}
