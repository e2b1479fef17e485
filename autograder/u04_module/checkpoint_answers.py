"""A sound Checkpoint, of which each wrong answer of u04-checkpoint exchanges a part."""

import torch


def flat(tensors):
    """All numbers in one row."""
    return torch.cat([t.flatten().float() for t in tensors if t is not None])


class Sound:
    """A sound Checkpoint with its parts open: a class attribute each."""

    buffers, temporary, shared, path, clones, detaches = True, False, True, True, True, True
    missing, unknown, shapes, first, in_place = True, True, True, True, True

    @classmethod
    def tensors(cls, module, prefix="", seen=None):
        seen = set() if seen is None else seen
        buffers = module._buffers if cls.buffers else {}
        for name, t in (*module._parameters.items(), *buffers.items()):
            skip = name in module._non_persistent_buffers_set and not cls.temporary
            if t is not None and not skip and (cls.shared or id(t) not in seen):
                seen.add(id(t))
                yield (prefix if cls.path else "") + name, t
        for name, child in module._modules.items():
            if child is not None:
                yield from cls.tensors(child, f"{prefix}{name}.", seen)

    @classmethod
    def save(cls, module):
        found = {}
        for name, t in cls.tensors(module):
            t = t.detach() if cls.detaches else t
            found[name] = t.clone() if cls.clones else t
        return found

    @classmethod
    def load(cls, module, state):
        own = dict(cls.tensors(module))
        if not cls.first:
            cls.copy(own, state, module)
        if cls.missing and own.keys() - state.keys():
            raise KeyError("missing")
        if cls.unknown and state.keys() - own.keys():
            raise KeyError("unknown")
        if cls.shapes and any(t.shape != state[name].shape for name, t in own.items() if name in state):
            raise ValueError("shape")
        cls.copy(own, state, module)

    @classmethod
    def copy(cls, own, state, module):
        with torch.no_grad():
            for name, t in own.items():
                if name in state and (not cls.shapes or cls.first or t.shape == state[name].shape):
                    t.copy_(state[name])
