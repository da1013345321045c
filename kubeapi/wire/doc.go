// SPDX-License-Identifier: Apache-2.0

// Package wire decodes what the Kubernetes API answers to lists and watches of
// Services, EndpointSlices and Nodes, in protobuf and in JSON, into the few
// fields that podgate reads of them.
//
// It sends no requests and keeps no state of the cluster.
package wire
