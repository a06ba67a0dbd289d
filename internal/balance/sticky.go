package balance

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"lbctl/internal/lb"
)

// Sticky makes and reads the values of the cookies by which a client's sessions
// stick to a backend; the cookie around the value is the proxy's matter. It is
// immutable, needs no state, and reading and appending allocate nothing.
//
// A value is the base64url of a MAC and the backend's name. The MAC is HMAC-SHA-256
// (RFC 2104) of the names of the service and the backend, cut to its first 128 bits
// (RFC 4868, 2.1.1): a value is good for one service, and survives restarts and
// changes of ID, address and weight. It does not hide the backend's name.
type Sticky struct {
	values map[lb.BackendID]string
	tokens map[string]token // by name
}

type token struct {
	mac [macSize]byte
	id  lb.BackendID
}

const (
	macSize  = 16
	mostName = 255
)

// NewSticky returns the values of a service's backends. The key should have 32
// random bytes; who knows it can make values.
func NewSticky(key []byte, service string, backends []lb.Backend) (*Sticky, error) {
	s := &Sticky{values: map[lb.BackendID]string{}, tokens: map[string]token{}}
	if len(key) < macSize {
		return nil, fmt.Errorf("make sticky values of service %q: key of %d bytes: want at least %d", service, len(key), macSize)
	}
	for _, b := range backends {
		if b.Name == "" || len(b.Name) > mostName {
			return nil, fmt.Errorf("make sticky values of service %q: backend name %q: want 1 to %d bytes", service, b.Name, mostName)
		}
		t := token{macOf(key, service, b.Name), b.ID}
		s.tokens[b.Name] = t
		s.values[b.ID] = base64.RawURLEncoding.EncodeToString(append(t.mac[:], b.Name...))
	}
	return s, nil
}

// macOf puts the service's length in front, so that no two pairs of names are the
// same message.
func macOf(key []byte, service, backend string) [macSize]byte {
	h := hmac.New(sha256.New, key)
	message := binary.BigEndian.AppendUint64([]byte("lbctl sticky session\x00"), uint64(len(service)))
	h.Write(append(append(message, service...), backend...))
	return [macSize]byte(h.Sum(nil))
}

// Append appends the value for a backend: letters, digits, - and _. It appends
// nothing for a backend that the service does not have.
func (s *Sticky) Append(dst []byte, id lb.BackendID) []byte {
	return append(dst, s.values[id]...)
}

// Read returns the backend of a value, 0 and false if the value is malformed,
// forged, of another service, or of a backend that is gone: the policy then picks
// anew. The backend need not be one that takes requests now; Picker.Take tells.
func (s *Sticky) Read(value []byte) (lb.BackendID, bool) {
	var space [macSize + mostName + 3]byte
	if base64.RawURLEncoding.DecodedLen(len(value)) > macSize+mostName {
		return 0, false
	}
	n, err := base64.RawURLEncoding.Strict().Decode(space[:], value)
	if err != nil || n <= macSize {
		return 0, false
	}
	t, known := s.tokens[string(space[macSize:n])]
	if subtle.ConstantTimeCompare(t.mac[:], space[:macSize]) != 1 || !known {
		return 0, false
	}
	return t.id, true
}
