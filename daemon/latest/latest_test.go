// SPDX-License-Identifier: Apache-2.0

package latest

import (
	"sync"
	"testing"
)

func TestTheNewestValueIsReceived(t *testing.T) {
	out := make(chan int, 1)
	for v := range 4 {
		Send(out, v)
	}
	if got := <-out; got != 3 {
		t.Errorf("received %d, want 3", got)
	}
	if len(out) != 0 {
		t.Error("an older value is left")
	}
}

func TestSendersDoNotWaitForEachOther(t *testing.T) {
	out := make(chan int, 1)
	var sending sync.WaitGroup
	for v := range 8 {
		sending.Go(func() { Send(out, v) })
	}
	sending.Wait()
	if got := <-out; got < 0 || got > 7 {
		t.Errorf("received %d, which was not sent", got)
	}
}
