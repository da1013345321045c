// SPDX-License-Identifier: Apache-2.0

package realapi

import "context"

// TB is the part of testing.TB that a Cluster needs, for programs other than tests. Fatal
// and Fatalf do not return.
type TB interface {
	Helper()
	Cleanup(func())
	Context() context.Context
	TempDir() string
	Failed() bool
	Logf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}
