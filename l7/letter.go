package l7

import (
	"lbctl/internal/proxy"
	"lbctl/internal/scoreboard"
)

// letters are Apache's for what a thread does with its client.
var letters = map[proxy.Activity]scoreboard.State{
	proxy.Idle: scoreboard.KeepAlive, proxy.Reading: scoreboard.Reading, proxy.Connecting: scoreboard.Connecting,
	proxy.Sending: scoreboard.Sending, proxy.Closing: scoreboard.Closing,
}

// letter is what the thread does now.
func (t *thread) letter() scoreboard.State {
	if t.client == nil {
		return scoreboard.Closing
	}
	if k, ok := t.client.side.(*proxy.ClientConn); ok {
		return letters[k.Activity()]
	}
	return scoreboard.Closing
}
