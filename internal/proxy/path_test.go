package proxy

import (
	"bytes"
	"net/url"
	slashes "path"
	"strings"
	"testing"
)

// FuzzTheFormOfAPath holds the form of paths to what it promises: it is its own
// form, it has no dot segment, no run of slashes and no escape that could be
// read in two ways, and who decodes and cleans it finds what is found in the original.
func FuzzTheFormOfAPath(f *testing.F) {
	for _, path := range []string{"/", "/a/../b", "/%2e%2E/x", "/a//b/.", "/a%2fb", "/..;/x", "/%41%7e%zz", "/a/b/../../..", "/a/...", "/x%20y%25", "/a%2", "/%/20"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if !strings.HasPrefix(path, "/") || strings.ContainsFunc(path, func(c rune) bool { return c == '?' || c == '#' || c <= ' ' || c > '~' }) {
			return
		}
		form, ok := appendNormal(nil, []byte(path))
		if !ok {
			return
		}
		decoded, err := url.PathUnescape(path)
		if err != nil { // such a path is no client's, but what a rewrite made of one
			t.Fatalf("%q becomes %q: %v", path, form, err)
		}
		if again, ok := appendNormal(nil, form); !ok || !bytes.Equal(again, form) {
			t.Fatalf("%q becomes %q, which becomes %q, %v", path, form, again, ok)
		}
		if plain([]byte(path)) && string(form) != path {
			t.Fatalf("%q is taken for a form, but becomes %q", path, form)
		}
		for _, bad := range []string{"//", "/./", "/../", "%2f", "%5c", "%00", `\`} {
			if strings.Contains(strings.ToLower(string(form)), bad) {
				t.Fatalf("%q becomes %q, with %q in it", path, form, bad)
			}
		}
		got, err := url.PathUnescape(string(form))
		if len(got) > 1 {
			got = strings.TrimSuffix(got, "/")
		}
		if want := slashes.Clean(decoded); err != nil || got != want {
			t.Fatalf("%q becomes %q, which is %q (%v), but %q by package path", path, form, got, err, want)
		}
	})
}
