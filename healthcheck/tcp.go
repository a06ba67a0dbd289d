package healthcheck

import (
	"context"
	"fmt"
)

// tcpChecker asks whether a connection can be made, and closes it.
//
// The close is an ordinary one. SO_LINGER 0 would send a reset instead and
// spare the balancer a socket in TIME_WAIT, but servers log and count a reset
// as an error of a client; one such socket per interval and target, each of
// them for a minute, is the cheaper of the two.
type tcpChecker struct {
	addr string
	dial Dial
}

func (c *tcpChecker) Check(ctx context.Context) error {
	conn, err := c.dial(ctx, "tcp", c.addr)
	if err != nil {
		return fmt.Errorf("connect %s: %s", c.addr, cause(ctx, err))
	}
	_ = conn.Close() // the answer is known
	return nil
}
