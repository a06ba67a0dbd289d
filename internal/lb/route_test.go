package lb

import (
	"strings"
	"testing"
)

func TestARouteThatContradictsItselfIsRefused(t *testing.T) {
	prefix := PathMatch{Kind: PathPrefix, Value: "/a"}
	for want, r := range map[string]Route{
		"host":               {Hosts: []string{"a:80"}},
		"method":             {Methods: []string{"G T"}},
		"header":             {Headers: []HeaderMatch{{Name: "A", Value: "b", Regexp: "c"}}},
		"path":               {Path: PathMatch{Kind: PathExact, Value: "a"}},
		"query":              {Path: PathMatch{Kind: PathExact, Value: "/a?b"}},
		"kind":               {Path: PathMatch{Kind: "glob", Value: "/a"}},
		"exclude each other": {Service: "a", Respond: Respond{Status: 200}},
		"redirect: status":   {Redirect: Redirect{Status: 304, To: "/"}},
		"at its begin":       {Redirect: Redirect{Status: 301, To: "/{path}"}},
		"redirect to":        {Redirect: Redirect{Status: 301, To: "//evil.example"}},
		"no places":          {Redirect: Redirect{Status: 301, To: "/a\r\nSet-Cookie: b"}},
		"respond: status":    {Respond: Respond{Status: 100}},
		"has no body":        {Respond: Respond{Status: 204, Body: "x"}},
		"field value":        {Request: HeaderEdits{Set: []Header{{"A", "b\r\nc"}}}},
		"the proxy makes it": {Response: HeaderEdits{Remove: []string{"content-LENGTH"}}},
		"token":              {Response: HeaderEdits{Add: []Header{{"a b", "c"}}}},
		"one of prefix":      {Path: prefix, Rewrite: Rewrite{Prefix: "/x", Path: "/y"}},
		"matches none":       {Rewrite: Rewrite{Prefix: "/x"}},
		"begins with /":      {Rewrite: Rewrite{Path: "x"}},
		"without ?":          {Path: prefix, Rewrite: Rewrite{Prefix: "/x?y"}},
	} {
		if err := r.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", r, err, want)
		}
	}
}

func TestARouteReadsAsWhatItDoes(t *testing.T) {
	r := Route{
		Hosts: []string{"a", "*.b"}, Path: PathMatch{Kind: PathPrefix, Value: "/x/"}, Methods: []string{"GET"}, Headers: []HeaderMatch{{Name: "N", Regexp: "v"}},
		Service: "s", Rewrite: Rewrite{Prefix: "/"}, Request: HeaderEdits{Set: []Header{{"H", "v"}}},
	}
	if got, want := r.String(), "GET a|*.b /x/* N~v to s rewrites / request sets H: v"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if err := r.Check(); err != nil {
		t.Error(err)
	}
}
