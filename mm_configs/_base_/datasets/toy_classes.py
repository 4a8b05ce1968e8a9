"""The built-in toy scenes: four kinds of things, four of ground."""

_base_ = './semantic_small.py'
toy = dict(
    data_root='{{$CCMIM_TOY:work_dirs/toy_scenes}}',
    reduce_zero_label=True,
    metainfo=dict(
        classes=(
            'striped_blob',
            'dotted_star',
            'checked_cross',
            'zigzag_crescent',
            'grass',
            'sand',
            'clouds',
            'planks',
        ),
        palette=[
            (230, 25, 75),
            (255, 225, 25),
            (0, 210, 170),
            (145, 70, 240),
            (60, 110, 40),
            (150, 130, 90),
            (150, 185, 200),
            (100, 65, 40),
        ],
    ),
)
train_dataloader = dict(dataset=toy)
val_dataloader = dict(dataset=toy)
test_dataloader = val_dataloader
