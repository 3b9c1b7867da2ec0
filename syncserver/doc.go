// Package syncserver speaks to clients: routes, HTTP handlers and, in package
// live, websockets. Handlers are thin: decode, authorise, call the domain,
// encode. What is allowed is decided in packages auth and blocks; what an error
// looks like to a client is decided in problem.go and nowhere else.
//
// routes.go is the front door: every route on one line.
package syncserver
