// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// opened returns a connection of a Session, and whether it is closed.
func opened(t *testing.T) (p *pinned, isClosed func() bool) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return &pinned{connection: &connection{Conn: ours}, opened: time.Now()}, func() bool {
		return errors.Is(ours.SetDeadline(time.Time{}), net.ErrClosed) || ours.SetDeadline(time.Time{}) != nil
	}
}

func TestTheNextSessionTakesTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var i idle
		p, isClosed := opened(t)
		if !i.keep(p) || i.take() != p || i.take() != nil {
			t.Error("the connection is not kept for one Session")
		}
		time.Sleep(sessionLife / 2)
		if !i.keep(p) {
			t.Error("the connection is not kept again")
		}
		other, _ := opened(t)
		if i.keep(other) {
			t.Error("a second connection is kept")
		}
		time.Sleep(sessionLife/2 + time.Millisecond)
		synctest.Wait()
		if !isClosed() || i.take() != nil {
			t.Error("the connection that no Session took is open")
		}
		if i.keep(p) {
			t.Error("a connection is kept for longer than sessionLife")
		}
	})
}

func TestAConnectionThatMayBeBrokenIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var i idle
		p, _ := opened(t)
		p.err = errCut
		if i.keep(p) {
			t.Error("a connection is kept after an error")
		}
		kept, isClosed := opened(t)
		used, _ := opened(t)
		i.keep(kept)
		time.Sleep(time.Millisecond)
		i.end()
		if !isClosed() || i.keep(used) {
			t.Error("a connection to the process before a reload is kept")
		}
		time.Sleep(time.Millisecond)
		later, _ := opened(t)
		if !i.keep(later) {
			t.Error("a connection to the process after a reload is not kept")
		}
		i.end()
	})
}
