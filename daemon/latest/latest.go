// SPDX-License-Identifier: Apache-2.0

// Package latest sends values of which only the newest counts.
//
// It starts no goroutine and closes no channel.
package latest

// Send sends v on out. A value that was not received yet is dropped. out must have
// a capacity of 1; several goroutines may send at once. Send waits for nobody.
func Send[T any](out chan T, v T) {
	for {
		select {
		case out <- v:
			return
		default:
		}
		select {
		case <-out:
		default:
		}
	}
}
