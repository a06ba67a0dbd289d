package scenario

import "lbctl/internal/lb"

// AccessLogSpec is what an l7 service writes down of its requests, as typed.
type AccessLogSpec struct {
	Pos    Pos
	Path   Val[LogPath]   `yaml:"path" required:"true" short:"true" doc:"A name in the lab's log folder, an absolute path, or off."`
	Format Val[LogWord]   `yaml:"format" default:"combined" doc:"common (Apache's), combined (nginx's), json (an object per line), timings (combined, and who answered and what took how long)."`
	Sample Val[LogSample] `yaml:"sample" default:"1" doc:"One request of so many is logged."`
}

// The words of an access log.
type (
	LogPath   = Text[logPathForm]
	LogWord   = Enum[logFormats]
	LogSample = Int[sampleBounds]
)

type (
	logPathForm  struct{}
	logFormats   struct{}
	sampleBounds struct{}
)

func (logPathForm) form() (string, string) {
	return `off, a file name such as "web.log" or an absolute path`, `^([A-Za-z0-9_-][A-Za-z0-9._-]{0,99}|/[!-~]{1,999})$`
}

func (logFormats) words() []string                  { return []string{"common", "combined", "json", "timings"} }
func (sampleBounds) bounds() (string, int64, int64) { return "a number of requests", 1, 1_000_000 }

// accessLog resolves what was typed.
func (s AccessLogSpec) accessLog() lb.AccessLog {
	if !s.Path.IsSet() || s.Path.Value == "off" {
		return lb.AccessLog{}
	}
	s = filled(s)
	return lb.AccessLog{Path: string(s.Path.Value), Format: lb.LogFormat(s.Format.Value), Sample: uint32(s.Sample.Value)}
}
