// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"podgate/kubeapi/wire"
)

func TestOfferKeepsSinceOfTheReplacedSnapshot(t *testing.T) {
	out := make(chan *Snapshot, 1)
	first, second := time.Unix(100, 0), time.Unix(200, 0)
	offer(out, &Snapshot{Since: first})
	offer(out, &Snapshot{Since: second, Complete: 2})
	if got := <-out; got.Since != first || got.Complete != 2 {
		t.Errorf("got %v of list %d, want %v of list 2", got.Since, got.Complete, first)
	}
	offer(out, &Snapshot{Since: second})
	if got := <-out; got.Since != second {
		t.Errorf("got %v, want %v", got.Since, second)
	}
}

func TestEveryConditionIsListedAndHasMessages(t *testing.T) {
	logged := map[string]bool{}
	for _, kind := range ConditionKinds() {
		_, began, ended := kind.messages()
		if logged[began] || logged[ended] || began == ended {
			t.Errorf("%s has the messages of another kind: %q, %q", kind, began, ended)
		}
		logged[began], logged[ended] = true, true
	}
	for _, err := range []error{errors.New("refused"), &statusError{code: 401}, &statusError{code: 403}, &statusError{code: 404}, &statusError{code: 429}, &statusError{code: 500}} {
		if kind := classify(source{}, err).kind; !slices.Contains(ConditionKinds(), kind) {
			t.Errorf("%v: %q is not listed", err, kind)
		}
	}
}

func TestEveryWatchEndIsListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reflector{due: time.Now().Add(time.Hour)}
		named := map[string]bool{}
		for _, name := range WatchEnds() {
			named[name] = true
		}
		for _, err := range []error{nil, stalledError{}, noAnswerError{}, io.EOF, &statusError{code: 410}, &statusError{code: 403}, &statusError{code: 500}, &wire.UnreadableError{Err: io.EOF}} {
			if got := r.cause(watchEnd{err: err}); !named[got] {
				t.Errorf("%v: %q is not listed", err, got)
			}
		}
		time.Sleep(2 * time.Hour)
		if got := r.cause(watchEnd{err: errDue}); got != "relist" {
			t.Errorf("got %q, want relist", got)
		}
	})
}
