"""The key of u08-lenet."""

import torch.nn.functional as F
from torch import nn

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, blocks, draw

lenet = Key(
    "u08-lenet",
    hints=(
        "How many numbers does one picture have after each row of the table? Where does 400 come from?",
        "Layers with parameters are made in __init__, under the table's names. relu, max pooling and flatten have none, and may be called from "
        "torch.nn.functional in forward.",
        "A near-example with one of each: `self.conv1 = nn.Conv2d(1, 4, 3, padding=1)`, `self.fc1 = nn.Linear(4 * 14 * 14, 10)`; "
        "`x = F.max_pool2d(F.relu(self.conv1(x)), 2)`, `return self.fc1(x.flatten(1))`.",
    ),
    cases=2,
    tolerance={
        "shapes": EXACT,
        "logits": Tolerance(1e-4, 1e-6, "float32 through five layers of sums of up to 400 terms"),
        "one_picture": Tolerance(1e-4, 1e-6, "the same"),
        "grad_conv1": Tolerance(1e-3, 1e-6, "the same, backward"),
    },
    weights={"logits": 3, "shapes": 2, "one_picture": 0.5},
)


@lenet.inputs
def _(g, case):
    return {"x": blocks(g, 2 + case)[:, None].float() / 128 - 1, "seed": draw(g, 0, 1 << 30)}


class Net(nn.Module):
    """A right LeNet, of which each part can be exchanged."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)
        self.finish()

    def finish(self):
        pass

    def bend(self, x):
        return F.relu(x)

    def pool(self, x):
        return F.max_pool2d(x, 2)

    def flat(self, x):
        return x.flatten(1)

    def features(self, x):
        return self.flat(self.pool(self.bend(self.conv2(self.pool(self.bend(self.conv1(x)))))))

    def forward(self, x):
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(self.features(x))))))


@lenet.wrong(
    "`{function}` ends in a softmax. F.cross_entropy does log-softmax itself; with both, the loss can never fall below 1.461. Return the logits."
)
class softmax_at_the_end(Net):
    def forward(self, x):
        return super().forward(x).softmax(dim=1)


@lenet.wrong(
    "`{function}` has a relu behind the last layer: no logit can be negative, and a letter whose logit is 0 gets no gradient."
)
class relu_at_the_end(Net):
    def forward(self, x):
        return F.relu(super().forward(x))


@lenet.wrong("`{function}` bends after the convolutions only. Two linear layers with nothing between them are one.")
class no_bend_between_linears(Net):
    def forward(self, x):
        return self.fc3(self.fc2(self.fc1(self.features(x))))


@lenet.wrong(
    "`{function}` does not bend after the convolutions. Max pooling is not linear, but it is no relu: negative maxima pass."
)
class no_bend_after_convolutions(Net):
    def bend(self, x):
        return x


@lenet.wrong(
    "`{function}` averages where it should take the maximum. The LeNet of 1998 did; the table says max pooling."
)
class average_pooling(Net):
    def pool(self, x):
        return F.avg_pool2d(x, 2)


@lenet.wrong("`{function}` has tanh or sigmoid for relu. The original had; the table says relu.")
class tanh_for_relu(Net):
    def bend(self, x):
        return x.tanh()


@lenet.wrong(
    "conv1 of `{function}` has no padding: 28 becomes 24 and not 28, and in the end 256 numbers are left, where 400 are due."
)
class no_padding(Net):
    def finish(self):
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.fc1 = nn.Linear(256, 120)


@lenet.wrong("conv2 of `{function}` has padding, too: 7 × 7 places remain, and fc1 takes 784 numbers instead of 400.")
class padding_twice(Net):
    def finish(self):
        self.conv2 = nn.Conv2d(6, 16, 5, padding=2)
        self.fc1 = nn.Linear(784, 120)


@lenet.wrong(
    "`{function}` keeps its layers in a plain list or under other names, so the table's names are missing from state_dict: the optimizer may "
    "not see them, "
    "and your trained parameters cannot be loaded."
)
class other_names(Net):
    def __init__(self):
        nn.Module.__init__(self)
        self.body = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(400, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, 10),
        )

    def forward(self, x):
        return self.body(x)


@lenet.wrong(
    "`{function}` flattens the batch away, too. A single picture then has the wrong shape, or pictures mix; start to flatten at axis 1."
)
class flattens_everything(Net):
    def flat(self, x):
        return x.flatten()


@lenet.wrong(
    "`{function}` reads the channels as the last axis before flattening. Number 17 of 400 then belongs to another place than in a network "
    "that flattens directly, "
    "and parameters cannot be exchanged."
)
class channels_last(Net):
    def flat(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


@lenet.wrong("The layers of `{function}` have no bias. The table counts 61 706 parameters, biases included.")
class without_bias(Net):
    def finish(self):
        for name in ("conv1", "conv2", "fc1", "fc2", "fc3"):
            getattr(self, name).register_parameter("bias", None)


@lenet.wrong(
    "`{function}` cuts the graph: its output carries no gradient to the first layer. Is there a detach, a no_grad or .data in forward?"
)
class cuts_the_graph(Net):
    def features(self, x):
        return super().features(x).detach()


@lenet.variant
class pools_before_bending(Net):
    """The maximum of the bent numbers is the bent maximum."""

    def features(self, x):
        x = self.pool(self.conv1(x)).clamp(min=0)
        return self.pool(self.conv2(x)).relu().view(len(x), -1)


@lenet.variant
class with_layers_for_all(Net):
    def finish(self):
        self.bent, self.halved = nn.ReLU(), nn.MaxPool2d(kernel_size=2, stride=2)

    def forward(self, x):
        for convolution in (self.conv1, self.conv2):
            x = self.halved(self.bent(convolution(x)))
        x = x.reshape(-1, 400)
        for layer in (self.fc1, self.fc2):
            x = self.bent(layer(x))
        return self.fc3(x)
