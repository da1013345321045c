// SPDX-License-Identifier: Apache-2.0

// Package certstore reads certificates, keys and CA certificates from the files and
// folders that podgate.toml names, and parses those of Secrets. It rejects what
// HAProxy could not serve, chooses which certificate serves which host name, and
// follows the files as they change.
//
// It writes no files, and does not communicate with HAProxy or the API server.
package certstore
