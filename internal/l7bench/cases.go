package main

import (
	"maps"
	"slices"
)

// load is what the generator does in a case.
type load struct {
	about       string
	path        string
	connections int
	close       bool // a connection for each request
	idle        int  // further connections that only wait
	order       int
}

var cases = map[string]load{
	"small": {about: "small answers over 64 connections that are kept", path: "/", connections: 64, order: 1},
	"64k":   {about: "answers of 64 KiB over 64 connections that are kept", path: "/64k", connections: 64, order: 2},
	"close": {about: "a connection for each request, 64 at a time", path: "/", connections: 64, close: true, order: 3},
	"1000":  {about: "small answers over 1,000 connections that are kept", path: "/", connections: 1000, order: 4},
	"idle":  {about: "10,000 idle connections, and small answers over 4", path: "/", connections: 4, idle: 10000, order: 5},
}

func caseNames() []string {
	return slices.SortedFunc(maps.Keys(cases), func(a, b string) int { return cases[a].order - cases[b].order })
}
