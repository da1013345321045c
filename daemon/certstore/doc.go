// SPDX-License-Identifier: Apache-2.0

// Package certstore reads certificates, keys and authorities from the places that
// podgate.toml names, refuses those that HAProxy could not serve, and follows
// their files as they change.
//
// It writes nothing, asks HAProxy nothing and decides nothing of who gets which
// certificate.
package certstore
