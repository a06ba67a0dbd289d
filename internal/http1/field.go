package http1

// A Field is one field line of a head or trailer section.
type Field struct {
	Name, Value []byte // slices of the buffer; the value without whitespace around it
	ID          Name
	Hop         bool // concerns one connection only (RFC 9110 7.6.1): by its name, or named by Connection
}

// fieldLine reads the line of w that begins at at. next is where the line
// after it begins; it is 0 if the line is not there whole, and then bytes of the class
// that follow w make no difference to that (none does not, if class is 0).
//
// It goes from left to right and stops at the first mistake, so what it says of
// a line does not depend on how much of it was there when it was first asked.
func fieldLine(w []byte, at int, f *Field) (next int, class uint8, err *Error) {
	i := skip(w, at, tchar)
	if i == len(w) {
		return 0, tchar, nil
	}
	if w[i] != ':' || i == at {
		return nameless(w, at, i)
	}
	f.Name = w[at:i:i]
	f.ID = LookupName(f.Name)
	f.Hop = hop[f.ID]
	for i++; i < len(w) && isOWS(w[i]); i++ {
	}
	begin := i
	i = skipText(w, i)
	switch {
	case i == len(w):
		return 0, text, nil
	case w[i] != '\r':
		return 0, 0, valueFault(w[i])
	case i+1 == len(w):
		return 0, 0, nil
	case w[i+1] != '\n':
		return 0, 0, ErrBareCR
	}
	end := i
	for end > begin && isOWS(w[end-1]) {
		end--
	}
	f.Value = w[begin:end:end]
	return i + 2, 0, nil
}

// nameless judges the byte at i, where a name that began at at has ended
// without a colon, or did not begin.
func nameless(w []byte, at, i int) (next int, class uint8, err *Error) {
	c := w[i]
	switch {
	case c == '\r' && i+1 == len(w):
		return 0, 0, nil
	case c == '\r' && w[i+1] != '\n':
		return 0, 0, ErrBareCR
	case c == '\n':
		return 0, 0, ErrBareLF
	case isOWS(c) && i == at:
		return 0, 0, ErrFold
	case isOWS(c):
		return 0, 0, ErrNameSpace
	}
	return 0, 0, ErrName
}

func valueFault(c byte) *Error {
	if c == '\n' {
		return ErrBareLF
	}
	return ErrValue
}
