package lb

// Route says what becomes of the requests that it matches. Of a service's routes
// the first that matches has a request; if none does it goes to the service's own
// backends. All conditions that are set must hold.
type Route struct {
	Hosts   []string      `json:"hosts,omitempty"` // one of them: "www.example.com", "*.example.com"
	Path    PathMatch     `json:"path,omitzero"`
	Methods []string      `json:"methods,omitempty"` // one of them
	Headers []HeaderMatch `json:"headers,omitempty"` // all of them

	Service  string      `json:"service,omitempty"` // L7 service by whose backends, policy and settings it goes; its routes are not looked at
	Redirect Redirect    `json:"redirect,omitzero"`
	Respond  Respond     `json:"respond,omitzero"`
	Rewrite  Rewrite     `json:"rewrite,omitzero"`
	Request  HeaderEdits `json:"request,omitzero"`  // of the request's header
	Response HeaderEdits `json:"response,omitzero"` // of the answer's header
}

// PathKind is how a path is compared.
type PathKind string

// The kinds.
const (
	PathExact  PathKind = "exact"
	PathPrefix PathKind = "prefix" // of whole segments: /a is one of /a and /a/b, not of /ab
	PathRegexp PathKind = "regexp" // RE2, anchored as written
)

// PathMatch is a condition for a request's path; zero: any path.
type PathMatch struct {
	Kind  PathKind `json:"kind"`
	Value string   `json:"value"`
}

// HeaderMatch is a condition for a field of the request's header: that it is
// there or, if one of the others is set, that one of that name has such a value.
type HeaderMatch struct {
	Name   string `json:"name"`
	Value  string `json:"value,omitempty"`  // exact
	Regexp string `json:"regexp,omitempty"` // RE2, anchored as written
}

// Redirect answers with another place to ask.
type Redirect struct {
	Status int    `json:"status"` // 301, 302, 303, 307, 308
	To     string `json:"to"`     // Location, in which {host}, {path}, {query} are the request's
}

// Respond answers in a backend's place.
type Respond struct {
	Status      int    `json:"status"`
	Body        string `json:"body,omitempty"`
	ContentType string `json:"content_type,omitempty"` // empty: text/plain; charset=utf-8
}

// Rewrite changes the path. At most one of Prefix, Path and Regexp is set.
type Rewrite struct {
	Prefix string `json:"prefix,omitempty"` // takes the place of the prefix that Route.Path matches
	Path   string `json:"path,omitempty"`   // takes the place of all
	Regexp string `json:"regexp,omitempty"` // what it matches first becomes To
	To     string `json:"to,omitempty"`     // with $1 and ${name} for what groups matched
}

// HeaderEdits change a message's header. What Remove names goes, what Set names
// is replaced, Add comes beside what there is.
type HeaderEdits struct {
	Set    []Header `json:"set,omitempty"`
	Add    []Header `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
}

// Header is a field of a header.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}
