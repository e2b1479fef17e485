# Goes for the reader of the verdict: markup in the exception's type, text, source line and function name.
# Gains: code in the instructor's browser, by way of the finding that quotes the student's own error.
# ruff: noqa
evil = "<script>alert('PWNED')</script><img src=x onerror=alert('PWNED')>"
Evil = type("<script>PWNED</script>", (Exception,), {})


def two_layer_backward(x, y, w1, w2):
    raise Evil(evil)  # <script>alert('PWNED in a comment')</script>


def batch_diagonals(t):
    return {evil: evil, "</pre><script>PWNED</script>": [evil]}


def unbroadcast(g, shape):
    return type(evil, (), {})()


raise Evil(evil)
