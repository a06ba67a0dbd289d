package http1

// section is what the fields under way belong to.
type section uint8

const (
	ofRequest section = iota
	ofResponse
	ofTrailer
)

// What Connection lists, and which fields there were.
const (
	saysClose = 1 << iota
	saysKeepAlive
	saysUpgrade
	saysTE
	saysOther // an option that may be a field's name
	hasLength
	hasChunked
	hasHost
	hasHosts
	hasUpgrade
	hasUpgrades
	has100
	hasTrailers // TE lists trailers
)

// facts is what a head's fields say about framing, routing and the connection.
type facts struct {
	is      uint16
	options uint8 // of Connection
	length  uint64
	host    []byte
	upgrade []byte
}

// maxOptions bounds the options of Connection, since each is compared with each
// field.
const maxOptions = 64

// note takes down what one of the names up to Expect says.
func (k *facts) note(f *Field, of section) *Error {
	if of == ofTrailer {
		return ErrTrailer
	}
	switch f.ID {
	case Host:
		if k.is&hasHost != 0 {
			k.is |= hasHosts
		}
		k.is |= hasHost
		k.host = f.Value
	case ContentLength:
		return k.contentLength(f.Value)
	case TransferEncoding:
		return k.transferEncoding(f.Value)
	case Connection:
		return k.connection(f.Value)
	case TE:
		if HasToken(f.Value, "trailers") {
			k.is |= hasTrailers
		}
	case Upgrade:
		if k.is&hasUpgrade != 0 {
			k.is |= hasUpgrades
		}
		k.is |= hasUpgrade
		k.upgrade = f.Value
	case ContentLengthUnderscored, TransferEncodingUnderscored:
		return ErrUnderscore
	case Expect:
		if of == ofRequest && !equalFold(f.Value, "100-continue") {
			return ErrExpect
		}
		k.is |= has100
	}
	return nil
}

// connection reads a Connection field (RFC 9110 7.6.1).
func (k *facts) connection(list []byte) *Error {
	for len(list) > 0 {
		var option []byte
		if option, list = NextElement(list); len(option) == 0 {
			continue
		}
		if k.options++; k.options > maxOptions || !ValidToken(option) {
			return ErrConnection
		}
		switch LookupName(option) {
		case Upgrade:
			k.is |= saysUpgrade
		case TE:
			k.is |= saysTE
		case KeepAlive:
			k.is |= saysKeepAlive
		case ContentLength, Host:
			return ErrConnectionName
		default:
			if equalFold(option, "close") {
				k.is |= saysClose
			} else {
				k.is |= saysOther
			}
		}
	}
	return nil
}

// keepAlive says whether the connection persists after a message of
// HTTP/1.minor (RFC 9112 9.3). close has the last word.
func (k *facts) keepAlive(minor uint8) bool {
	return k.is&saysClose == 0 && (minor > 0 || k.is&saysKeepAlive != 0)
}

// upgradeTo returns the value of Upgrade if it is meant for this recipient. It is not
// if there are several Upgrade fields; one may always ignore it (RFC 9110 7.8).
func (k *facts) upgradeTo(minor uint8) []byte {
	if minor == 0 || k.is&(saysUpgrade|hasUpgrade|hasUpgrades) != saysUpgrade|hasUpgrade || len(k.upgrade) == 0 {
		return nil
	}
	return k.upgrade
}

// markNamed sets Hop in the fields that Connection names.
func (k *facts) markNamed(fields []Field) {
	if k.is&saysOther == 0 {
		return
	}
	for i := range fields {
		if fields[i].ID != Connection {
			continue
		}
		for list := fields[i].Value; len(list) > 0; {
			var option []byte
			if option, list = NextElement(list); len(option) > 0 {
				markNamed(fields, option)
			}
		}
	}
}

func markNamed(fields []Field, name []byte) {
	for i := range fields {
		if f := &fields[i]; !f.Hop && sameFold(f.Name, name) {
			f.Hop = true
		}
	}
}
