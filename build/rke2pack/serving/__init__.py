"""The door for those who ask us: HTTP/1.1 on a socket of our own.

`server` accepts connections, `connection` speaks HTTP on one of them, and a
function from `Request` to `Answer` (`message`) decides what is said. The
protocol itself is h11's.
"""
