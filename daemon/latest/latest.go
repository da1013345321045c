// SPDX-License-Identifier: Apache-2.0

// Package latest sends values on channels that hold only the newest value.
//
// It starts no goroutine and closes no channel.
package latest

// Send sends v on out, and drops a value that was not received yet. out must have a
// capacity of 1. Send never blocks, and may be called concurrently.
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
