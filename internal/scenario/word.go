package scenario

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// Name is a DNS label, since names become file and host names, of at most as
// many characters as L says.
type Name[L length] string

type length interface{ length() int }

// The names of the language. A network's also names an interface (IFNAMSIZ is 16).
type (
	LabName     = Name[labLength]
	NodeName    = Name[nodeLength]
	NetworkName = Name[networkLength]
)

type (
	labLength     struct{}
	nodeLength    struct{}
	networkLength struct{}
)

func (labLength) length() int     { return 40 }
func (nodeLength) length() int    { return 31 }
func (networkLength) length() int { return 15 }

const namePattern = `^[a-z]([a-z0-9-]*[a-z0-9])?$`

var nameForm = regexp.MustCompile(namePattern)

func (n *Name[L]) parse(text string) error {
	var l L
	if len(text) > l.length() || !nameForm.MatchString(text) {
		return errIllFormed
	}
	*n = Name[L](text)
	return nil
}

func (n *Name[L]) want() string {
	var l L
	return fmt.Sprintf("a name of a–z, 0–9 and -, a letter first, at most %d long", l.length())
}

func (n *Name[L]) schema() map[string]any {
	var l L
	return map[string]any{"type": "string", "pattern": namePattern, "maxLength": l.length()}
}

func (n *Name[L]) suggest(text string) string {
	meant := strings.Map(func(r rune) rune {
		if r == '_' || r == '.' || r == ' ' || r == '/' {
			return '-'
		}
		return unicode.ToLower(r)
	}, text)
	if meant != text && new(Name[L]).parse(meant) == nil {
		return meant
	}
	return ""
}

// Text is a string that matches F's form.
type Text[F form] string

type form interface {
	// form returns what is wanted, in words and as a pattern.
	form() (want, pattern string)
}

// The texts of the language.
type (
	Path        = Text[pathForm]
	Host        = Text[hostForm]
	HeaderName  = Text[headerForm]
	SysctlKey   = Text[sysctlForm]
	SysctlValue = Word[sysctlValueForm]
)

type (
	pathForm        struct{}
	hostForm        struct{}
	headerForm      struct{}
	sysctlForm      struct{}
	sysctlValueForm struct{}
)

func (pathForm) form() (string, string) {
	return `a path such as "/healthz"`, `^/[!"$-~]{0,999}$` // visible ASCII; a # would begin a fragment
}

func (hostForm) form() (string, string) {
	return `a host such as "www.example.com"`, `^[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?$`
}

func (headerForm) form() (string, string) {
	return `a header name such as "Content-Type"`, "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$" // RFC 9110, token
}

// sysctlForm admits net.* only: what else a namespace can write would change the host.
func (sysctlForm) form() (string, string) {
	return `a network parameter such as "net.ipv4.tcp_fin_timeout"`, `^net(\.[A-Za-z0-9_-]+){2,8}$`
}

func (sysctlValueForm) form() (string, string) {
	return `a value such as 1 or "1024 65535"`, `^[A-Za-z0-9_-]([A-Za-z0-9 _.:,-]{0,254}[A-Za-z0-9_])?$`
}

func (t *Text[F]) parse(text string) error {
	var f F
	if _, pattern := f.form(); !compiled(pattern).MatchString(text) {
		return errIllFormed
	}
	*t = Text[F](text)
	return nil
}

func (t *Text[F]) want() string {
	var f F
	want, _ := f.form()
	return want
}

func (t *Text[F]) schema() map[string]any {
	var f F
	_, pattern := f.form()
	return map[string]any{"type": "string", "pattern": pattern}
}

func (t *Text[F]) suggest(text string) string {
	if meant := "/" + text; new(Text[F]).parse(text) != nil && new(Text[F]).parse(meant) == nil {
		return meant
	}
	return ""
}

// Word is a Text that may be a number too.
type Word[F form] struct{ Text[F] }

func (w *Word[F]) schema() map[string]any {
	s := w.Text.schema()
	s["type"] = []string{"integer", "string"}
	return s
}

// Pattern is an RE2 regular expression.
type Pattern string

func (p *Pattern) parse(text string) error {
	if text == "" || len(text) > 1000 {
		return errIllFormed
	}
	if _, err := regexp.Compile(text); err != nil {
		return fmt.Errorf("%w", err)
	}
	*p = Pattern(text)
	return nil
}
func (p *Pattern) want() string { return "a regular expression (RE2) of at most 1000 bytes" }
func (p *Pattern) schema() map[string]any {
	return map[string]any{"type": "string", "minLength": 1, "maxLength": 1000}
}
