// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
)

// keyKind is what kind of keys certificates have.
type keyKind string

// The kinds: ECDSA is P-256, as certbot makes them, and RSA has 2048 bits.
const (
	noTLS      keyKind = ""
	ecdsaP256  keyKind = "ECDSA"
	rsaOf2048  keyKind = "RSA"
	rsaKeyBits         = 2048
	rsaKeys            = 8
)

// keys makes them. Those of RSA take so long that a few serve all certificates
// in turn: HAProxy reads each of them all the same.
type keys struct {
	rsa  []crypto.Signer
	used int
}

func (k *keys) next(kind keyKind) (crypto.Signer, error) {
	if kind == ecdsaP256 {
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if len(k.rsa) < rsaKeys {
		key, err := rsa.GenerateKey(rand.Reader, rsaKeyBits)
		if err != nil {
			return nil, err
		}
		k.rsa = append(k.rsa, key)
	}
	k.used++
	return k.rsa[k.used%len(k.rsa)], nil
}
