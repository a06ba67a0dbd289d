package ctl

import (
	"runtime"
	"runtime/debug"
	"sync"
)

// version can be set by the linker: -X lbctl/ctl.version=1.2.3
var version string

// BuildVersion returns the version of this binary: what the linker set, else
// the commit it was built from, with a + if files differed from it.
var BuildVersion = sync.OnceValue(func() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	commit, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+"
		}
	}
	if commit == "" {
		return info.Main.Version
	}
	return commit + dirty
})

func goVersion() string { return runtime.Version() }
