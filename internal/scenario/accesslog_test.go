package scenario

import (
	"strings"
	"testing"

	"lbctl/internal/lb"
)

func withLog(typed string) []byte {
	return []byte("name: a\nservices:\n  web:\n    plane: l7\n    http:\n      access_log: " + typed + "\n")
}

func TestAnAccessLogIsAPathOrMore(t *testing.T) {
	for typed, want := range map[string]lb.AccessLog{
		"off":                                  {},
		"{}":                                   {},
		"web.log":                              {Path: "web.log", Format: lb.LogCombined, Sample: 1},
		"/dev/log":                             {Path: "/dev/log", Format: lb.LogCombined, Sample: 1},
		"{path: w, format: json, sample: 100}": {Path: "w", Format: lb.LogJSON, Sample: 100},
		"{path: off, format: common}":          {},
	} {
		sc, err := understand("a.yaml", withLog(typed))
		if typed == "{}" {
			if err == nil {
				t.Error("an access log without a path is taken")
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", typed, err)
		} else if got := sc.Config.Services[0].HTTP.AccessLog; got != want {
			t.Errorf("%s: %+v, want %+v", typed, got, want)
		}
	}
}

func TestAWrongAccessLogIsToldWithItsPlace(t *testing.T) {
	for typed, want := range map[string]string{
		"logs/web":                   `6:19: access_log: want off, a file name such as "web.log" or an absolute path, not the text "logs/web"; did you mean "/logs/web"?`,
		"..":                         "6:19: ",
		"{path: w, format: apache}":  "6:37: ",
		"{path: w, sample: 0}":       "6:37: ",
		"{path: w, formt: json}":     "6:29: ",
		"[web.log]":                  "6:19: ",
		"{format: json, path: \"\"}": "6:",
	} {
		if _, err := understand("a.yaml", withLog(typed)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", typed, err, want)
		}
	}
}
