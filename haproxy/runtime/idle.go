// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"sync"
	"time"
)

// sessionLife is how long Sessions share a connection. While changes follow each other,
// opening one for each of them takes as long as the change. An old worker does not end
// before the connection.
const sessionLife = time.Second

// idle is the connection that the last Session left to the next one. Its methods may be
// called concurrently.
type idle struct {
	mu     sync.Mutex
	pinned *pinned   // nil for none
	ends   time.Time // connections that were opened before are not kept
	expiry *time.Timer
}

// take returns the connection, nil for none.
func (i *idle) take() *pinned {
	i.mu.Lock()
	defer i.mu.Unlock()
	p := i.pinned
	i.pinned = nil
	return p
}

// keep keeps the connection for the next Session, until it is sessionLife old. It returns
// false if the connection is older or broken, or if there is one already.
func (i *idle) keep(p *pinned) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	left := time.Until(p.opened.Add(sessionLife))
	if p.err != nil || left <= 0 || i.pinned != nil || p.opened.Before(i.ends) {
		return false
	}
	i.pinned = p
	if i.expiry == nil {
		i.expiry = time.AfterFunc(left, i.expire)
	} else {
		i.expiry.Reset(left)
	}
	return true
}

// expire closes the connection if no Session took it.
func (i *idle) expire() {
	if p := i.take(); p != nil {
		_ = p.Close()
	}
}

// end closes the connection, and makes keep reject those that are open now: another process
// serves.
func (i *idle) end() {
	i.expire()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ends = time.Now()
}
