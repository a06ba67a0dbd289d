package lb

import (
	"errors"
	"testing"
	"time"
)

func TestAShapeIsRefusedByTheKeyThatIsWrong(t *testing.T) {
	for _, c := range []struct {
		shape Shape
		key   string // empty: it can be
	}{
		{Shape{}, ""},
		{Shape{Model: ModelPrefork}, ""},
		{Shape{Model: ModelEvent, Threads: 64, MaxSpare: 256}, ""},
		{Shape{Model: ModelLoop, Processes: 4}, ""},
		{Shape{Model: "threads"}, "model"},
		{Shape{Model: ModelPrefork, Threads: 2}, "threads"},
		{Shape{Model: ModelLoop, Threads: 2}, "threads"},
		{Shape{Model: ModelLoop, Start: 2}, "start"},
		{Shape{Model: ModelLoop, MinSpare: 2}, "min_spare"},
		{Shape{Model: ModelLoop, MaxSpare: 2}, "max_spare"},
		{Shape{Model: ModelWorker, Threads: MaxThreads + 1}, "threads"},
		{Shape{Model: ModelWorker, Processes: MaxProcesses + 1}, "processes"},
		{Shape{Model: ModelWorker, Start: 20}, "start"},
		{Shape{Events: "epoll"}, ""},
		{Shape{Events: "kqueue"}, "events"},
		{Shape{Model: ModelEvent, Events: "epoll"}, "events"},
		{Shape{LogLevel: "debug"}, ""},
		{Shape{LogLevel: "loud"}, "log_level"},
		{Shape{Model: ModelWorker, MaxSpare: 99}, "max_spare"},
		{Shape{DrainTimeout: time.Minute}, ""},
		{Shape{Model: ModelPrefork, DrainTimeout: -1}, "drain_timeout"},
	} {
		err := c.shape.CheckTyped()
		var refused *ShapeError
		switch {
		case c.key == "" && err != nil:
			t.Errorf("%+v: %v", c.shape, err)
		case c.key != "" && (!errors.As(err, &refused) || refused.Key != c.key):
			t.Errorf("%+v: %v, want that %s is refused", c.shape, err, c.key)
		}
	}
}
