package lb

import "time"

// FieldMode says what a proxy does about a field that tells of the client.
type FieldMode string

// The modes. Zero is the default of each field.
const (
	FieldAppend  FieldMode = "append"  // ours comes after what there is
	FieldReplace FieldMode = "replace" // ours takes its place
	FieldOff     FieldMode = "off"     // what there is stays, ours does not come
)

// Forwarding says what a backend is told of the client and the way of its request.
type Forwarding struct {
	For       FieldMode `json:"for,omitempty"`       // X-Forwarded-For; zero: append
	Proto     FieldMode `json:"proto,omitempty"`     // X-Forwarded-Proto; zero: replace
	Host      FieldMode `json:"host,omitempty"`      // X-Forwarded-Host; zero: replace
	Forwarded FieldMode `json:"forwarded,omitempty"` // RFC 7239; zero: off

	NoVia       bool `json:"no_via,omitempty"`       // neither in requests nor in answers
	RequestID   bool `json:"request_id,omitempty"`   // X-Request-ID: kept if valid, else made
	BackendHost bool `json:"backend_host,omitempty"` // Host is the backend's address instead of the client's Host
}

// Sticky is the cookie by which a client's requests go to one backend; zero: none.
type Sticky struct {
	Cookie   string        `json:"cookie"`
	Path     string        `json:"path,omitempty"`
	TTL      time.Duration `json:"ttl,omitempty"` // 0: until the browser ends
	Secure   bool          `json:"secure,omitempty"`
	HTTPOnly bool          `json:"http_only,omitempty"`
	SameSite string        `json:"same_site,omitempty"` // Lax, Strict, None; empty: not said
	Key      string        `json:"key,omitempty"`       // of its MAC, at least 16 bytes; empty: the Controller's
}

// Queue is where requests wait while every backend that could be chosen is at its MaxConn.
type Queue struct {
	Length  int           `json:"length"`  // of all workers together; negative: nobody waits
	Timeout time.Duration `json:"timeout"` // zero: ConnectTimeout
}

// Limits bound the heads of requests and answers.
type Limits struct {
	Line   int `json:"line"`   // bytes of the first line
	Head   int `json:"head"`   // bytes of all of it
	Fields int `json:"fields"` // number
}
