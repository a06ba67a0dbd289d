package lb

import (
	"fmt"
	"strings"
)

// String returns what a person tells routes apart by: "GET shop.example /api/* to api".
func (r Route) String() string {
	var words []string
	if len(r.Methods) > 0 {
		words = append(words, strings.Join(r.Methods, "|"))
	}
	if len(r.Hosts) > 0 {
		words = append(words, strings.Join(r.Hosts, "|"))
	}
	switch r.Path.Kind {
	case PathExact:
		words = append(words, r.Path.Value)
	case PathPrefix:
		words = append(words, strings.TrimSuffix(r.Path.Value, "/")+"/*")
	case PathRegexp:
		words = append(words, "~"+r.Path.Value)
	default:
		words = append(words, "*")
	}
	for _, h := range r.Headers {
		text := h.Name
		switch {
		case h.Value != "":
			text += "=" + h.Value
		case h.Regexp != "":
			text += "~" + h.Regexp
		}
		words = append(words, text)
	}
	return strings.Join(append(words, r.does()...), " ")
}

func (r Route) does() (words []string) {
	switch {
	case r.Redirect != Redirect{}:
		words = append(words, fmt.Sprintf("%d %s", r.Redirect.Status, r.Redirect.To))
	case r.Respond != Respond{}:
		words = append(words, fmt.Sprintf("answers %d %q %s", r.Respond.Status, r.Respond.Body, r.Respond.ContentType))
	case r.Service != "":
		words = append(words, "to "+r.Service)
	}
	if w := r.Rewrite; w != (Rewrite{}) {
		words = append(words, "rewrites "+strings.TrimSpace(w.Prefix+w.Path+w.Regexp+" "+w.To))
	}
	for i, e := range []HeaderEdits{r.Request, r.Response} {
		words = append(words, e.text([]string{"request", "answer"}[i])...)
	}
	return words
}

func (e HeaderEdits) text(of string) (words []string) {
	for _, h := range e.Set {
		words = append(words, fmt.Sprintf("%s sets %s: %s", of, h.Name, h.Value))
	}
	for _, h := range e.Add {
		words = append(words, fmt.Sprintf("%s adds %s: %s", of, h.Name, h.Value))
	}
	for _, name := range e.Remove {
		words = append(words, fmt.Sprintf("%s loses %s", of, name))
	}
	return words
}
